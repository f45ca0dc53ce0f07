# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from monai_genaug.plotting import SheetRow, sample_sheet

matplotlib_image = pytest.importorskip("matplotlib.image")


def pixels(path: Path) -> np.ndarray:
    return matplotlib_image.imread(path)[..., :3]


def row(count: int, shape: tuple[int, ...] = (1, 12, 10), title: str = "", **more: torch.Tensor) -> SheetRow:
    image = torch.rand(count, *shape, generator=torch.Generator().manual_seed(0))
    return SheetRow(title, {"image": image, **more}, [f"seed {i}" for i in range(count)])


def test_rows_take_as_many_lines_as_they_need(tmp_path: Path) -> None:
    heights = {}
    for count in (1, 4, 5, 8):
        heights[count] = len(pixels(sample_sheet([row(count)], tmp_path / "a.png", columns=4)))
    assert heights[1] == heights[4] < heights[5] == heights[8]
    widths = [pixels(sample_sheet([row(4)], tmp_path / "a.png", columns=n)).shape[1] for n in (2, 4)]
    assert widths[0] < 0.6 * widths[1]


def test_every_sample_is_shown_at_its_place(tmp_path: Path) -> None:
    image = torch.zeros(3, 1, 8, 8)
    image[1] = 1.0
    sheet = SheetRow("", {"image": image}, ["", "", ""])
    shown = pixels(sample_sheet([sheet], tmp_path / "a.png", heading=""))
    dark = (shown < 0.1).all(axis=-1)
    left, middle, right = np.array_split(dark, 3, axis=1)
    assert left.mean() > 0.7
    assert right.mean() > 0.7
    assert middle.mean() < 0.1


def test_volumes_show_three_planes_through_the_mask_with_its_outline(tmp_path: Path) -> None:
    mask = torch.zeros(2, 1, 12, 14, 16, dtype=torch.uint8)
    mask[:, :, 2:5, 2:5, 2:5] = 1
    image = mask.float()
    plain = pixels(sample_sheet([SheetRow("", {"image": image}, ["a", "b"])], tmp_path / "plain.png"))
    samples = {"image": image, "mask": mask}
    outlined = sample_sheet([SheetRow("", samples, ["a", "b"])], tmp_path / "o.png", label_names=("none", "cube"))
    coloured = np.ptp(pixels(outlined), axis=-1) > 0.3
    assert not (np.ptp(plain, axis=-1) > 0.3).any()
    assert coloured.sum() > 200
    assert len(plain) > 2.5 * plain.shape[1] / 2  # three planes, one above the other, two volumes wide
    dark = [int((shown < 0.1).all(axis=-1).sum()) for shown in (plain, pixels(outlined))]
    assert dark[1] < 0.97 * dark[0]  # planes through the mask meet the cube, which the middle ones miss
    assert {path.name for path in tmp_path.iterdir()} == {"plain.png", "o.png"}


def test_superior_is_up(tmp_path: Path) -> None:
    image = torch.zeros(1, 1, 12, 12, 12)
    image[..., 9:] = 0.5
    shown = pixels(sample_sheet([SheetRow("", {"image": image}, [""])], tmp_path / "a.png"))[..., 0]
    column = shown[: len(shown) // 3, shown.shape[1] // 2]
    grey, black = (np.nonzero(np.abs(column - value) < 0.05)[0] for value in (0.5, 0.0))
    assert len(grey) > 20
    assert len(black) > 60
    assert np.median(grey) < black.min()


def test_colours_stay_colours(tmp_path: Path) -> None:
    image = torch.zeros(1, 3, 8, 8)
    image[:, 0] = 1.0
    shown = pixels(sample_sheet([SheetRow("", {"image": image}, [""])], tmp_path / "a.png"))
    assert (shown[..., 0] - shown[..., 1] > 0.9).mean() > 0.7


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: SheetRow("", {}, []), "image has shape None"),
        (lambda: SheetRow("", {"image": torch.zeros(3, 4)}, []), r"image has shape \(3, 4\)"),
        (lambda: row(2, mask=torch.zeros(2, 1, 4, 4)), "mask has shape"),
        (lambda: SheetRow("", {"image": torch.zeros(2, 1, 4, 4)}, ["a"]), "1 titles for 2"),
    ],
)
def test_rows_that_do_not_fit_are_named(build: object, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        build()  # type: ignore[operator]


@pytest.mark.parametrize(("rows", "columns"), [([], 8), ([row(1), row(1, (1, 5, 5))], 8), ([row(1)], 0)])
def test_sheets_that_cannot_be_drawn_write_nothing(tmp_path: Path, rows: list[SheetRow], columns: int) -> None:
    with pytest.raises(ValueError, match="1 or more, and one shape"):
        sample_sheet(rows, tmp_path / "a.png", columns)
    assert not list(tmp_path.iterdir())
