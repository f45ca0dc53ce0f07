# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Bundles and pictures for tests of the command line."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from click.testing import Result
from PIL import Image
from torch import Tensor
from typer.testing import CliRunner

from monai_genaug.cli import app
from tests.toy import write_toy_bundle

SIDE = 16


def run(*arguments: str | Path) -> Result:
    """A command, in this process."""
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def picture_bundle(folder: Path, **changes: Any) -> Path:
    """A bundle of untrained grey pictures whose intensities 0 to 255 become [0, 1]."""
    write_toy_bundle(folder, (SIDE, SIDE), mask=False)
    path = folder / "configs" / "generator.json"
    config = json.loads(path.read_text())
    config["spec"] |= {"intensity": "range", "intensity_range": [0, 255], "spacing": None, **changes}
    path.write_text(json.dumps(config))
    return folder


def noise(count: int, seed: int) -> Tensor:
    """Pictures ``(count, 1, side, side)`` of noise in [0, 1]."""
    return torch.from_numpy(np.random.default_rng(seed).random((count, 1, SIDE, SIDE), dtype=np.float32))


def write_grey(folder: Path, images: Tensor) -> Sequence[Path]:
    """Pictures in [0, 1] as PNG files 000.png, 001.png, ..."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{number:03d}.png" for number in range(len(images))]
    for path, image in zip(paths, images, strict=True):
        Image.fromarray((image[0] * 255).round().to(torch.uint8).numpy()).save(path)
    return paths


def write_list(path: Path, items: Any) -> Path:
    """A JSON file."""
    path.write_text(json.dumps(items))
    return path
