# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""The tutorials run as they stand, and what is committed of them can be shown to anybody.

``make docs`` runs this; ``make test`` does not collect it.
"""

from __future__ import annotations

import ast
import base64
import os
import re
from pathlib import Path
from typing import Any

import nbformat
import pytest

from tutorials.running import executed, machine_paths, notebooks, pictures

NEEDS = {
    "1_one_line_in_a_classifier": ["medmnist/breastmnist.npz"],
    "2_bundle_config": [],
    "3_rhvae_for_your_mri": ["Task04_Hippocampus/dataset.json"],
    "4_class_imbalance": ["medmnist/pneumoniamnist.npz"],
    "5_synthetic_twin": ["medmnist/breastmnist.npz"],
    "6_your_own_generator": [],
}
"""Notebook -> the files below ``GENAUG_DATA`` that it reads."""

LARGEST = 1_500_000  # bytes of a committed notebook
SECONDS_PER_CELL = 900
ABSOLUTE_PATH = re.compile(r"(?<![\w.:/~])/(?:home|root|tmp|work|Users|opt|usr|var|private)/\w|\b[A-Z]:\\\\?\w")

every_notebook = pytest.mark.parametrize("path", notebooks(), ids=lambda path: path.stem)


def texts(cell: Any) -> list[str]:
    """What the outputs of a cell say."""
    said = []
    for output in cell.outputs:
        said += [output.text] if output.output_type == "stream" else []
        said += [value for kind, value in output.get("data", {}).items() if kind.startswith("text/")]
    return said


def test_there_are_six_of_them() -> None:
    assert [path.stem for path in notebooks()] == sorted(NEEDS)


@every_notebook
@pytest.mark.timeout(1800)
def test_a_small_run_ends_without_an_error(path: Path, tmp_path: Path) -> None:
    data = Path(os.environ.get("GENAUG_DATA", ""))
    missing = [name for name in NEEDS[path.stem] if not os.environ.get("GENAUG_DATA") or not (data / name).is_file()]
    if missing:
        pytest.skip(f"{path.name} reads {', '.join(missing)} below GENAUG_DATA, which is not there")
    done = executed(path, tmp_path, "small", timeout=SECONDS_PER_CELL)
    assert len(pictures(done)) == len(pictures(nbformat.read(path, as_version=4)))


@every_notebook
def test_what_is_committed_has_outputs_with_pictures(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1)), "not run from top to bottom"
    assert pictures(notebook)
    for picture in pictures(notebook):
        assert base64.b64decode(picture).startswith(b"\x89PNG")
    kinds = [output.output_type for cell in code for output in cell.outputs]
    assert "error" not in kinds
    assert path.stat().st_size < LARGEST


@every_notebook
def test_what_is_committed_says_nothing_of_the_machine(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    assert set(notebook.metadata) == {"kernelspec", "language_info"}
    for cell in notebook.cells:
        assert "execution" not in cell.metadata
        for text in [cell.source, *(texts(cell) if cell.cell_type == "code" else [])]:
            assert ABSOLUTE_PATH.search(text) is None, text
            assert not [found for found in machine_paths() if found in text and len(found) > 3], text
            assert "it/s]" not in text
            assert "\x1b" not in text


@every_notebook
def test_what_is_committed_says_which_size_it_shows(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    first = next(cell for cell in notebook.cells if cell.cell_type == "code")
    assert "GENAUG_TUTORIAL_SIZE" in first.source
    assert any(text.startswith(("size small", "size full")) for text in texts(first))


@every_notebook
def test_notebooks_explain_before_they_compute(path: Path) -> None:
    cells = nbformat.read(path, as_version=4).cells
    assert cells[0].cell_type == "markdown"
    assert cells[0].source.startswith("# ")
    prose = sum(len(cell.source.split()) for cell in cells if cell.cell_type == "markdown")
    assert prose > 300
    for cell in cells:
        if cell.cell_type == "code" and not re.match(r"%%|!", cell.source):
            ast.parse(cell.source)


@every_notebook
def test_links_lead_to_other_notebooks(path: Path) -> None:
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type == "markdown":
            for target in re.findall(r"\]\(([^)#]+)\)", cell.source):
                assert target.startswith("https://") or (path.parent / target).is_file(), target
