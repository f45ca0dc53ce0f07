# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""``monai-genaug preview``."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.cli_data import picture_bundle, run
from tests.toy import write_toy_bundle


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, in which the command runs; the bundles ``../bundle`` and ``../volumes`` are beside it."""
    picture_bundle(tmp_path / "bundle")
    write_toy_bundle(tmp_path / "volumes")
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def size(path: Path) -> tuple[int, int]:
    with Image.open(path) as image:
        return image.size


def test_a_sheet_of_pictures(here: Path) -> None:
    result = run("preview", "../bundle")
    assert (result.exit_code, result.stdout) == (0, "samples.png\n")
    width, height = size(here / "samples.png")
    assert width > 8 * 100
    assert height > 2 * 100  # 16 samples, eight in a line
    with Image.open(here / "samples.png") as image:
        first = np.asarray(image.convert("L"))
    assert run("preview", "../bundle", "--seeds", "0:16", "--force").exit_code == 0
    with Image.open(here / "samples.png") as image:
        assert (np.asarray(image.convert("L")) == first).all()


def test_rows_are_classes_and_truncations(here: Path) -> None:
    heights = {}
    for name, options in {
        "both": (),
        "one": ("--class", "malignant"),
        "by id": ("--class", "0"),
        "sweep": ("--truncation", "1", "--truncation", "0.5", "--truncation", "0.2"),
    }.items():
        result = run("preview", "breast_us_cgan", "--count", "3", "--out", f"{name}.png", *options)
        assert result.exit_code == 0, result.output
        heights[name] = size(here / f"{name}.png")[1]
    assert heights["one"] == heights["by id"]
    row = heights["both"] - heights["one"]
    assert 90 < row < 150
    assert abs(heights["sweep"] - heights["one"] - 5 * row) <= 5  # two classes with three truncations


def test_volumes_with_an_animation(here: Path) -> None:
    result = run("preview", "../volumes", "--seeds", "3,5", "--gif", "--json", "--out", "new/volumes.png")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout) == {"files": ["new/volumes.png", "new/volumes.gif"], "seeds": [3, 5]}
    assert sorted(path.name for path in (here / "new").iterdir()) == ["volumes.gif", "volumes.png"]
    width, height = size(here / "new" / "volumes.png")
    assert height > 1.3 * width  # three planes of two volumes
    with Image.open(here / "new" / "volumes.gif") as image:
        assert image.n_frames > 20
    assert (here / "new" / "volumes.gif").stat().st_size < 2 * 2**20


def test_nothing_is_replaced_without_force(here: Path) -> None:
    (here / "samples.png").write_text("mine")
    result = run("preview", "../bundle", "--count", "2")
    assert result.exit_code == 2
    assert "samples.png exists already" in result.stderr
    (here / "volumes.gif").write_text("mine")
    assert run("preview", "../volumes", "--count", "1", "--gif", "--out", "volumes.png").exit_code == 2
    assert {path.read_text() for path in here.iterdir()} == {"mine"}
    assert run("preview", "../bundle", "--count", "2", "--force").exit_code == 0
    assert size(here / "samples.png")[0] > 100


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("../bundle", "--count", "0"), "'0:0', which are none"),
        (("../bundle", "--seeds", "a"), "needed: numbers such as 1,2,3 or a range such as 0:16"),
        (("../bundle", "--seeds", "0:99999999999"), "allowed: 10000 seeds"),
        (("../bundle", "--seeds", "99999999999999999999"), "outside the allowed range"),
        (("../bundle", "--seeds", "1", "--count", "2"), "--count or --seeds, not both"),
        (("../bundle", "--class", "a"), "has no classes"),
        (("breast_us_cgan", "--class", "a"), "class 'a' is unknown"),
        (("../bundle", "--truncation", "2"), "truncation is 2.0"),
        (("../bundle", "--gif"), "an animation shows volumes"),
        (("../volumes", "--gif", "--out", "a.gif"), "the animation lies beside it"),
        (("../bundle", "--device", "toaster"), "device 'toaster' cannot be used"),
        (("nowhere",), "is neither a folder nor a shipped generator"),
        (("../bundle", "--out", "."), "is a folder"),
    ],
)
def test_bad_arguments_are_one_line(here: Path, arguments: tuple[str, ...], message: str) -> None:
    result = run("preview", *arguments)
    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stdout == ""
    assert not list(here.iterdir())
