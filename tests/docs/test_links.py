# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Links that Sphinx does not see: those of errors, and those of files outside ``docs/``."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from monai_genaug._help import DOCS_URL, docs_link
from monai_genaug.generators import VAEGenerator, load_generator
from monai_genaug.transforms import RandGenerativeSampled
from tests.docs.code_blocks import ROOT
from tests.toy import toy_generator

_HEADING = re.compile(r"^#+ (.*)$", flags=re.MULTILINE)
_RELATIVE_LINK = re.compile(r"\]\((?![a-z]+:)([^)#]*)(#[^)]*)?\)")


def _calls() -> Iterator[tuple[str, list[str]]]:
    """Where ``docs_link`` is called, and its arguments, which must be plain texts."""
    for path in sorted((ROOT / "monai_genaug").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "docs_link":
                yield f"{path.relative_to(ROOT)}:{node.lineno}", [ast.literal_eval(argument) for argument in node.args]


def _slugs(page: Path) -> set[str]:
    """Ids of a page's headings: words in lower case, joined by hyphens."""
    titles = _HEADING.findall(page.read_text(encoding="utf-8"))
    return {"-".join(re.findall(r"[a-z0-9_.]+", title.lower())).replace(".", "-") for title in titles}


CALLS = dict(_calls())


@pytest.mark.parametrize("where", CALLS)
def test_pages_that_errors_name_exist(where: str) -> None:
    page, *section = CALLS[where]
    path = ROOT / "docs" / f"{page}.md"
    assert path.is_file()
    assert set(section) <= _slugs(path)


def test_errors_name_pages() -> None:
    assert len(CALLS) >= 8


def test_an_address() -> None:
    assert docs_link("how_to/leakage") == f"{DOCS_URL}/how_to/leakage.html"
    assert docs_link("security", "what-is-executed").endswith("/security.html#what-is-executed")


def test_an_error_ends_with_its_page() -> None:
    generator = toy_generator((16, 16), mask=False, classes=["a", "b"])
    transform = RandGenerativeSampled("image", generator, prob=1.0, class_key="label")
    item = {"image": load_generator(generator).sample([0], "a")["image"][0], "label": 0}
    with pytest.raises(ValueError, match=re.escape(docs_link("how_to/matching_items", "classes"))):
        transform(item)
    other = toy_generator((16, 16), mask=False)
    assert isinstance(other, VAEGenerator)
    with pytest.raises(ValueError, match=re.escape(docs_link("how_to/matching_items", "intensities"))):
        RandGenerativeSampled("image", other, prob=1.0)({"image": 7 + item["image"]})


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_relative_links_of_files_outside_of_the_documentation(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    broken = [target for target, _ in _RELATIVE_LINK.findall(text) if target and not (ROOT / target).exists()]
    assert broken == []


def test_paths_of_pages_in_the_package_exist() -> None:
    texts = [path.read_text(encoding="utf-8") for path in (ROOT / "monai_genaug").rglob("*.py")]
    named = {name for text in texts for name in re.findall(r"docs/(?!README|measured)[\w/]+\.md", text)}
    assert named
    assert [name for name in sorted(named) if not (ROOT / name).is_file()] == []
