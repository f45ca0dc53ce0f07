# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from monai_genaug.plotting import sample_grid

matplotlib_image = pytest.importorskip("matplotlib.image")


def coloured(path: Path) -> int:
    """Number of pixels that are not grey."""
    pixels = matplotlib_image.imread(path)[..., :3]
    return int((np.ptp(pixels, axis=-1) > 0.1).sum())


def ball(size: int = 12) -> torch.Tensor:
    grid = torch.stack(torch.meshgrid(*[torch.linspace(-1, 1, size)] * 3, indexing="ij"))
    return (grid.norm(dim=0) < 0.6).long()[None, None].expand(2, -1, -1, -1, -1)


def test_volumes_with_outlines(tmp_path: Path) -> None:
    image = torch.rand(2, 1, 12, 12, 12)
    plain = sample_grid({"image": image}, tmp_path / "new" / "plain.png")
    outlined = sample_grid({"image": image, "mask": ball()}, tmp_path / "outlined.png", titles=["a", "b"])
    assert coloured(plain) == 0
    assert coloured(outlined) > 100
    assert {path.name for path in tmp_path.iterdir()} == {"new", "outlined.png"}


@pytest.mark.parametrize("channels", [1, 3])
def test_images_in_2d(tmp_path: Path, channels: int) -> None:
    image = torch.rand(3, channels, 10, 14)
    mask = torch.zeros(3, 1, 10, 14, dtype=torch.uint8)
    path = sample_grid({"image": image, "mask": mask}, tmp_path / "grid.png")
    assert (coloured(path) > 0) == (channels == 3)


def test_superior_and_anterior_point_up(tmp_path: Path) -> None:
    image = torch.zeros(1, 1, 12, 12, 12)
    image[..., 9:] = 1.0  # superior end
    pixels = matplotlib_image.imread(sample_grid({"image": image}, tmp_path / "a.png"))[..., 0]
    height = len(pixels) // 3
    assert pixels[: height // 2].mean() > pixels[height // 2 : height].mean()


@pytest.mark.parametrize(
    ("samples", "titles", "words"),
    [
        ({"mask": ball()}, None, "needed: 'image'"),
        ({"image": torch.zeros(3, 4)}, None, "shape"),
        ({"image": torch.zeros(2, 1, 8, 8), "mask": torch.zeros(2, 1, 4, 4)}, None, "mask has shape"),
        ({"image": torch.zeros(2, 1, 8, 8)}, ["one"], "1 titles for 2"),
    ],
)
def test_what_does_not_fit_is_named(
    tmp_path: Path, samples: dict[str, torch.Tensor], titles: list[str] | None, words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        sample_grid(samples, tmp_path / "a.png", titles)
    assert not list(tmp_path.iterdir())


def test_pyplots_state_is_untouched(tmp_path: Path) -> None:
    pyplot = pytest.importorskip("matplotlib.pyplot")
    before = pyplot.get_fignums()
    sample_grid({"image": torch.zeros(1, 1, 4, 4)}, tmp_path / "a.png")
    assert pyplot.get_fignums() == before
