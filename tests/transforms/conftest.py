# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""A real MRI volume, shifted into several items, and generators of its shape."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import torch
from monai.transforms import Compose

from monai_genaug.generators import LatentGenerator
from tests.toy import toy_generator

KEYS = ("image", "label")
SHAPE = (32, 40, 24)


@pytest.fixture(scope="session")
def generator() -> LatentGenerator:
    """Image and mask with three labels at 1 mm, ``SHAPE``."""
    return toy_generator(SHAPE)


@pytest.fixture(scope="session")
def classified() -> LatentGenerator:
    """2D images of two classes, 16x16."""
    return toy_generator((16, 16), mask=False, classes=("benign", "malignant"))


@pytest.fixture(scope="session")
def plain() -> LatentGenerator:
    """2D images without classes, 16x16."""
    return toy_generator((16, 16), mask=False)


@pytest.fixture(scope="session")
def files(anatomical_path: Path, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, str]]:
    """Four items: the real volume at 1 mm, shifted, with a label map of three bands of its intensity."""
    folder = tmp_path_factory.mktemp("volumes")
    volume = nibabel.load(anatomical_path).get_fdata(dtype=np.float32)
    items = []
    for shift in range(4):
        moved = np.roll(volume, 2 * shift, axis=0)
        label = np.digitize(moved, np.quantile(moved, [0.6, 0.9])).astype(np.uint8)
        item = {}
        for key, values in zip(KEYS, (moved, label), strict=True):
            path = folder / f"{key}_{shift}.nii"
            nibabel.save(nibabel.Nifti1Image(values, np.diag([1.0, 1.0, 1.0, 1.0])), path)
            item[key] = str(path)
        items.append(item)
    return items


@pytest.fixture(scope="session")
def loading(generator: LatentGenerator) -> list[Callable[[Any], Any]]:
    """The transforms that bring files into the generator's space."""
    return list(generator.preprocessing(KEYS).transforms)


@pytest.fixture
def real(files: list[dict[str, str]], loading: list[Callable[[Any], Any]]) -> dict[str, Any]:
    """One loaded item, MetaTensors."""
    item: dict[str, Any] = Compose(loading)(dict(files[0]))
    return item


@pytest.fixture
def square() -> torch.Tensor:
    """An image for the 2D generators."""
    return torch.linspace(0, 1, 256).reshape(1, 16, 16)
