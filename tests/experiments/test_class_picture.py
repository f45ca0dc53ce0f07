# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from monai_genaug.experiments.class_picture import _strips, class_picture


def test_colours_and_greys_in_lines_of_ten() -> None:
    colours = torch.randint(0, 256, (13, 3, 6, 8), dtype=torch.uint8)
    (strip,) = _strips(colours)
    assert strip.shape == (2 * 7 + 1, 10 * 9 + 1, 3)
    assert np.array_equal(strip[1:7, 1:9], colours[0].permute(1, 2, 0).numpy())
    assert np.array_equal(strip[8:14, 19:27], colours[12].permute(1, 2, 0).numpy())
    (grey,) = _strips(colours[:2, :2])
    assert np.array_equal(grey[1:7, 1:9], colours[0, 0].numpy()[..., None].repeat(3, axis=2))


def test_volumes_are_cut_in_the_middle_with_the_last_axis_upwards() -> None:
    volumes = torch.randint(0, 256, (2, 1, 6, 8, 10), dtype=torch.uint8)
    sagittal, coronal, axial = (strip[..., 0] for strip in _strips(volumes))
    assert np.array_equal(sagittal[1:11, 1:9], volumes[0, 0, 3].numpy().T[::-1])
    assert np.array_equal(coronal[1:11, 8:14], volumes[1, 0, :, 4].numpy().T[::-1])
    assert np.array_equal(axial[1:9, 1:7], volumes[0, 0, :, :, 5].numpy().T[::-1])


def test_picture_is_written_with_a_block_per_class(tmp_path: Path) -> None:
    path = tmp_path / "docs" / "samples.png"
    dark, bright = torch.zeros(20, 1, 12, 12, dtype=torch.uint8), torch.full((20, 1, 12, 12), 200, dtype=torch.uint8)
    class_picture({"dark": dark, "bright": bright}, path)
    assert list(path.parent.iterdir()) == [path]
    pixels = np.asarray(Image.open(path).convert("L"))
    height, width = pixels.shape
    assert width > 800
    assert (pixels[: height // 2] == 0).mean() > 0.5
    assert (pixels[height // 2 :] == 200).mean() > 0.5


def test_one_block_without_title(tmp_path: Path) -> None:
    class_picture({"": torch.full((3, 1, 9, 9, 9), 100, dtype=torch.uint8)}, tmp_path / "samples.png")
    assert (np.asarray(Image.open(tmp_path / "samples.png").convert("L")) == 100).mean() > 0.1
