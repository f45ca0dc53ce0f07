# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""How the blocks of pages are found and run."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.code_blocks import commands, our_command, read_blocks, reason_not_to_run, run_page
from tests.docs.pages import PAGES, all_pages


def write(folder: Path, text: str) -> Path:
    page = folder / "page.md"
    page.write_text(text)
    return page


def run(page: Path, **names: object) -> dict[str, object]:
    return run_page(page, dict(names), {}, {})


def test_blocks_run_in_order_and_in_one_namespace(tmp_path: Path) -> None:
    page = write(tmp_path, "# T\n\n```python\na = given + 1\n```\n\n- item\n\n  ```python\n  b = a * 2\n  ```\n")
    assert [(block.language, block.line) for block in read_blocks(page)] == [("python", 4), ("python", 10)]
    assert run(page, given=1)["b"] == 4


def test_an_error_names_page_and_line(tmp_path: Path) -> None:
    page = write(tmp_path, "```python\nok = 1\nboom()\n```\n")
    with pytest.raises(NameError) as caught:
        run(page)
    assert caught.traceback[-1].path is not None
    assert "page.md:2" in str(caught.traceback[-1].path)


def test_a_block_in_an_unknown_language_is_an_error(tmp_path: Path) -> None:
    for language in ("py", "shell", "{code-block} python", "{code-cell}"):
        with pytest.raises(ValueError, match="known are"):
            read_blocks(write(tmp_path, f"```{language}\nx\n```\n"))


def test_our_commands_run_and_must_end_well(tmp_path: Path) -> None:
    run(write(tmp_path, "```bash\nmonai-genaug info breast_us_cgan   # a spec\n```\n"))
    with pytest.raises(AssertionError, match="ends with 2"):
        run(write(tmp_path, "```bash\nmonai-genaug info nothing\n```\n"))
    run_page(write(tmp_path, "```bash\nmonai-genaug info nothing\n```\n"), {}, {}, {"info nothing": 2})


def test_other_commands_need_a_reason_not_to_run(tmp_path: Path) -> None:
    run(write(tmp_path, "```bash\nmake test && pip install .\npython -m monai_genaug.experiments.demo\n```\n"))
    for command in ("rm -rf x", "makeup", "python train.py", "python -m json.tool"):
        with pytest.raises(AssertionError, match="no reason is known"):
            run(write(tmp_path, f"```bash\n{command}\n```\n"))
    with pytest.raises(AssertionError, match="no module"):
        run(write(tmp_path, "```bash\npython -m monai_genaug.experiments.nothing\n```\n"))


def test_a_demo_does_not_run_but_training_does() -> None:
    assert our_command(["monai-genaug", "demo"]) is None
    assert our_command(["python", "-m", "monai_genaug", "train", "x"]) == ["train", "x"]
    assert reason_not_to_run(["monai-genaug", "train"]) is None


def test_configs_are_built(tmp_path: Path) -> None:
    good = '{"a": [{"_target_": "RandGenerativeSampled", "keys": "image", "generator": "hippocampus_mri_rhvae"}]}'
    with pytest.raises(RuntimeError, match="RandGenerativeSampled"):  # a pair cannot go to one key
        run(write(tmp_path, f"```json\n{good}\n```\n"))
    run(write(tmp_path, "```json\n" + good.replace('"image"', '["image", "label"]') + "\n```\n"))
    with pytest.raises(ValueError, match="Expecting"):
        run(write(tmp_path, "```json\n{x}\n```\n"))


def test_continued_lines_are_one_command(tmp_path: Path) -> None:
    (block,) = read_blocks(write(tmp_path, "```bash\nmake test \\\n    WORKERS=1\n```\n"))
    assert list(commands(block)) == [["make", "test", "WORKERS=1"]]


def test_every_page_is_found() -> None:
    names = set(all_pages())
    assert set(PAGES) <= names
    assert {"README.md", "docs/index.md", "monai_genaug/bundles/hippocampus_mri_rhvae/docs/README.md"} <= names
