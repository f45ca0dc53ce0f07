# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Folders of small pictures for trainings that take seconds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

CLASSES = ("benign", "malignant")


def write_pictures(folder: Path, count: int = 7, channels: int = 1, size: int = 12, start: int = 0) -> Path:
    """PNG files of noise around a bright corner, grey or RGB, of a height and a width that differ."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(start)
    for number in range(count):
        picture = rng.integers(0, 120, (size, size + 3, channels), dtype=np.uint8)
        picture[: size // 2, : size // 3] += 100
        Image.fromarray(picture.squeeze()).save(folder / f"patient_{number}.png")
    return folder


def write_class_pictures(folder: Path, count: int = 7, channels: int = 1, size: int = 12) -> Path:
    """A sub-folder of such pictures per class."""
    for number, name in enumerate(CLASSES):
        write_pictures(folder / name, count, channels, size, start=number)
    return folder
