# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""CITATION.cff and CONTRIBUTING.md say what holds."""

from __future__ import annotations

import re

import pytest
import yaml

from monai_genaug._help import DOCS_URL
from tests.docs.code_blocks import ROOT

PROJECT = (ROOT / "pyproject.toml").read_text()


def test_the_citation_is_complete_and_of_this_version() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["cff-version"] == "1.2.0"
    assert {"message", "title", "authors", "license"} <= set(citation)
    assert f'\nversion = "{citation["version"]}"\n' in PROJECT
    assert f'\nlicense = "{citation["license"]} AND ' in PROJECT  # code, and then the licences of the weights
    references = citation["references"]
    assert len(references) >= 5
    for reference in references:
        assert {"type", "title", "authors", "year"} <= set(reference)
        for identifier in reference["identifiers"]:
            assert identifier["type"] == "doi"
            assert re.fullmatch(r"10\.\d{4,}/\S+", identifier["value"])


@pytest.mark.parametrize("name", ["CONTRIBUTING.md", "README.md"])
def test_targets_of_make_exist(name: str) -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    named = set(re.findall(r"(?:`|^)make ([a-z]+)", (ROOT / name).read_text(), flags=re.MULTILINE))
    assert named
    assert named <= targets


def test_paths_of_contributing_exist() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    for named in re.findall(r"`((?:[a-z_]+/)+(?:\w+\.(?:py|md|json))?)`", text):
        places = (ROOT / named, ROOT / "monai_genaug" / named)
        assert any(place.exists() for place in places) or named.startswith("docs/measured"), named


def test_the_address_of_the_documentation_is_the_same_everywhere() -> None:
    assert f'Documentation = "{DOCS_URL}"' in PROJECT
