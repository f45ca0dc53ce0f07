# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""The real images that the shipped feature networks are trained on, all of one size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from monai_genaug.data import class_folder_items, medmnist_items
from monai_genaug.experiments.hippocampus_data import BUNDLE, load_part
from monai_genaug.generators import load_generator
from monai_genaug.metrics.features.resizing import smoothly_resized

__all__ = ["SIZE", "FeatureImages", "read_feature_images"]

SIZE = {2: (64, 64), 3: (32, 32, 32)}
_PLANES = ("sagittal", "coronal", "axial")
_PLACES = (0.35, 0.5, 0.65)
"""Where a volume is cut, as shares of its axis."""
_SAME_PICTURE, _MARGIN = 0.85, 0.02
"""Correlation of a BUSI picture with its BreastMNIST version, and how much less it is with any other one."""


@dataclass(frozen=True)
class FeatureImages:
    """Grey images of several data sets.

    Args:
        images: ``(n, 1, *size)``, uint8.
        labels: ``(n,)``, int64, into ``classes``.
        classes: ``"<data set>: <class>"``.
    """

    images: Tensor
    labels: Tensor
    classes: tuple[str, ...]


def read_feature_images(dataset_dir: Path, spatial_dims: int, part: str) -> FeatureImages:
    """Reads one part of all data sets.

    2D: BreastMNIST and PneumoniaMNIST by class; BUSI by class, where a picture belongs to the part of its BreastMNIST
    version and is left out if that isn't clear; planes of hippocampus MRI and of AdrenalMNIST3D by their direction.
    3D: AdrenalMNIST3D by class, hippocampus MRI. Training images that also are in another part are left out.
    HAM10000 and DermaMNIST, which is made of it, are not for commercial use and take no part.

    Args:
        dataset_dir: holds ``medmnist``, ``busi_128`` and ``Task04_Hippocampus``.
        spatial_dims: 2 or 3.
        part: ``"train"``, ``"val"`` or ``"test"``.
    """
    adrenal = _medmnist(dataset_dir, "adrenalmnist3d", part)
    brain = torch.stack([item["image"] for item in _hippocampus(dataset_dir, part)])
    groups: dict[str, Tensor] = {}
    if spatial_dims == 3:
        groups |= {f"adrenalmnist3d: {name}": adrenal[name] for name in adrenal}
        groups["hippocampus: volume"] = brain
    else:
        for dataset in ("breastmnist", "pneumoniamnist"):
            groups |= {f"{dataset}: {name}": images for name, images in _medmnist(dataset_dir, dataset, part).items()}
        groups |= {f"busi: {name}": images for name, images in _busi(dataset_dir, part).items()}
        for dataset, volumes in (("hippocampus", brain), ("adrenalmnist3d", torch.cat(list(adrenal.values())))):
            groups |= {f"{dataset}: {plane}": _cuts(volumes, axis) for axis, plane in enumerate(_PLANES)}
    images = [_levels(smoothly_resized(group, SIZE[spatial_dims])) for group in groups.values()]
    labels = [torch.full((len(group),), number) for number, group in enumerate(images)]
    return FeatureImages(torch.cat(images), torch.cat(labels), tuple(groups))


def _medmnist(dataset_dir: Path, name: str, part: str) -> dict[str, Tensor]:
    """Class id as text -> images in [0, 1], of the training part those that are in no other one."""
    folder = dataset_dir / "medmnist"
    others = () if part != "train" else ("val", "test")
    seen = {item["image"].tobytes() for other in others for item in medmnist_items(name, folder, other)}
    groups: dict[str, list[np.ndarray[Any, Any]]] = {}
    for item in medmnist_items(name, folder, part):
        if item["image"].tobytes() not in seen:
            groups.setdefault(str(item["label"]), []).append(item["image"])
    return {label: torch.from_numpy(np.stack(groups[label])).float() / 255.0 for label in sorted(groups)}


def _hippocampus(dataset_dir: Path, part: str) -> list[dict[str, Any]]:
    return load_part(load_generator(BUNDLE), dataset_dir / "Task04_Hippocampus", part)


def _busi(dataset_dir: Path, part: str) -> dict[str, Tensor]:
    """Class -> pictures in [0, 1] whose BreastMNIST version is in the part."""
    items = class_folder_items(dataset_dir / "busi_128")
    pictures = torch.stack([_picture(item["image"]) for item in items])
    small = smoothly_resized(pictures, (28, 28))
    folder = dataset_dir / "medmnist"
    likeness = {}
    for name in ("train", "val", "test"):
        images = np.stack([item["image"] for item in medmnist_items("breastmnist", folder, name)])
        likeness[name] = _correlations(small, torch.from_numpy(images).float()).amax(dim=1)
    elsewhere = torch.stack([values for name, values in likeness.items() if name != part]).amax(dim=0)
    belongs = (likeness[part] > _SAME_PICTURE) & (likeness[part] > elsewhere + _MARGIN)
    names = np.array([item["class_name"] for item in items])
    return {str(name): pictures[belongs & torch.from_numpy(names == name)] for name in np.unique(names)}


def _picture(path: str) -> Tensor:
    with Image.open(path) as image:
        return torch.from_numpy(np.array(image.convert("L"))).float()[None] / 255.0


def _correlations(a: Tensor, b: Tensor) -> Tensor:
    """Of all images of two sets with each other, ``(n, m)``."""
    x, y = (torch.nn.functional.normalize(one.flatten(1) - one.flatten(1).mean(1, keepdim=True)) for one in (a, b))
    return x @ y.T


def _cuts(volumes: Tensor, axis: int) -> Tensor:
    """Slices of ``(n, 1, *spatial)`` across an axis, ``(3 n, 1, ...)``."""
    places: Sequence[int] = [int(place * volumes.shape[axis + 2]) for place in _PLACES]
    return torch.cat([volumes.select(axis + 2, place) for place in places])


def _levels(images: Tensor) -> Tensor:
    return (images * 255.0).round().clamp(0, 255).to(torch.uint8)
