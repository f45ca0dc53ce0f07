# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from monai_genaug.plotting import rotating_gif

FRAMES = 8


def frames(path: Path) -> np.ndarray:
    """``(frames, rows, columns, 3)`` in [0, 1]."""
    with Image.open(path) as image:
        shown = []
        for number in range(image.n_frames):
            image.seek(number)
            shown.append(np.asarray(image.convert("RGB")) / 255)
    return np.stack(shown)


def rod() -> torch.Tensor:
    """A rod along the second axis, off the centre, in the lower half."""
    volume = torch.zeros(1, 1, 24, 24, 20)
    volume[..., 10:14, 2:22, 3:7] = 1.0
    return volume


def width(frame: np.ndarray) -> int:
    """Columns with something in them."""
    return int((frame.max(axis=(0, 2)) > 0.2).sum())


@pytest.mark.parametrize("surface", [False, True])
def test_a_rod_is_seen_along_and_across(tmp_path: Path, surface: bool) -> None:
    shown = frames(rotating_gif({"image": rod()}, tmp_path / "new" / "a.gif", surface=surface, frames=FRAMES))
    assert len(shown) == FRAMES
    widths = [width(frame) for frame in shown]
    assert widths[0] < 0.4 * widths[2]  # after a quarter of a turn
    assert abs(widths[0] - widths[4]) <= 2
    assert abs(widths[2] - widths[6]) <= 2
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["a.gif"]


def test_superior_is_up(tmp_path: Path) -> None:
    shown = frames(rotating_gif({"image": rod()}, tmp_path / "a.gif", frames=1))[0]
    half = len(shown) // 2
    assert shown[half:].mean() > 5 * shown[:half].mean()


def test_labels_have_their_colours_and_volumes_stand_side_by_side(tmp_path: Path) -> None:
    mask = (rod() > 0).long().expand(2, -1, -1, -1, -1).clone()
    mask[1] *= 2
    images = torch.zeros(2, 1, 24, 24, 20)
    shown = frames(rotating_gif({"image": images, "mask": mask}, tmp_path / "a.gif", frames=4))[1]
    left, right = np.array_split(shown, 2, axis=1)
    red, blue = (half.reshape(-1, 3)[half.max(axis=-1).argmax()] for half in (left, right))
    assert red[0] > 2 * red[2]
    assert blue[2] > 2 * blue[0]


def test_surfaces_are_lit_from_above(tmp_path: Path) -> None:
    grid = torch.stack(torch.meshgrid(*[torch.linspace(-1, 1, 24)] * 3, indexing="ij"))
    ball = (grid.norm(dim=0) < 0.8).float()[None, None]
    shown = frames(rotating_gif({"image": ball}, tmp_path / "a.gif", surface=True, frames=2))[0].max(axis=-1)
    rows = np.nonzero(shown.max(axis=1) > 0)[0]
    top, bottom = shown[rows[len(rows) // 5]], shown[rows[-len(rows) // 5]]
    assert top.max() > 1.5 * bottom.max()
    assert abs(int((shown > 0).sum(axis=1).max()) - len(rows)) <= 0.1 * len(rows)  # round


def test_an_empty_mask_is_an_empty_picture(tmp_path: Path) -> None:
    mask = torch.zeros(1, 1, 8, 8, 8, dtype=torch.uint8)
    assert frames(rotating_gif({"image": mask.float(), "mask": mask}, tmp_path / "a.gif", frames=2)).max() == 0


@pytest.mark.parametrize(
    ("samples", "count"),
    [
        ({"image": torch.zeros(1, 1, 8, 8)}, 2),
        ({"image": torch.zeros(1, 1, 8, 8, 8), "mask": torch.zeros(1, 1, 8, 8, 4)}, 2),
        ({"image": torch.zeros(1, 1, 8, 8, 8)}, 0),
    ],
)
def test_what_cannot_turn_writes_nothing(tmp_path: Path, samples: dict[str, torch.Tensor], count: int) -> None:
    with pytest.raises(ValueError, match="needed: volumes"):
        rotating_gif(samples, tmp_path / "a.gif", frames=count)
    assert not list(tmp_path.iterdir())
