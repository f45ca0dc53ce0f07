# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""A folder of images -> checked items, their split, and how they are brought into a generator's space."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from PIL import Image

from monai_genaug.blueprints.models import BlueprintModel
from monai_genaug.data import check_images, class_folder_items, class_folder_names, split_by_subject
from monai_genaug.data.image_files import _first_five
from monai_genaug.generators.preprocessing import preprocessing_for
from monai_genaug.generators.spec import GeneratorSpec

__all__ = ["FolderData", "name_unusable", "read_folder"]

_HELD_OUT = 0.15
_WHITE = {"1": 1.0, "L": 255.0, "RGB": 255.0, "I": None, "I;16": None}  # None: the largest value of all pictures


@dataclass(frozen=True)
class FolderData:
    """What is known of the images in a folder.

    Attributes:
        root: the folder.
        classes: names of the classes 0, 1, ...; none for images without classes.
        channels: of every image.
        spatial_dims: of every image.
        train, held_out: the items.
    """

    root: Path
    classes: tuple[str, ...]
    channels: int
    spatial_dims: int
    train: list[dict[str, Any]]
    held_out: list[dict[str, Any]]

    def space(self, shape: Sequence[int]) -> dict[str, Any]:
        """Fields of a :class:`GeneratorSpec`: how images get this shape."""
        items = [*self.train, *self.held_out]
        if len(shape) == 2:
            white = max(_white(item["image"]) for item in items)
            return {"fitting": "resize", "intensity": "range", "intensity_range": (0.0, white)}
        extents = np.array([_extent(item["image"]) for item in items]).max(axis=0)
        spacing = float(np.ceil(100.0 * (extents / np.array(shape)).max()) / 100.0)
        return {"spacing": (spacing,) * 3, "orientation": "RAS"}


def read_folder(root: Path, subject: str | None, model: BlueprintModel, seed: int) -> FolderData:
    """Lists, opens and splits the images of a folder.

    Args:
        root: the folder, absolute.
        subject: see :func:`~monai_genaug.data.class_folder_items`.
        model: what is to be trained.
        seed: of the split.

    Raises:
        ValueError: classes that are missing or not wanted, images that cannot be used (named), or too few of a class.
        FileNotFoundError: the folder does not exist.
    """
    names = class_folder_names(root)
    if model.conditional and len(names) < 2:
        raise ValueError(f"{model.network} needs a sub-folder per class, {root} has {list(names)}.")
    if model.conditional is False and len(names) > 1:
        raise ValueError(f"{model.network} has no classes, {root} has {list(names)}: train on one of them.")
    items = class_folder_items(root, subject)
    channels, dims = check_images(items)
    _check_kinds(items, dims)
    classes = names if len(names) > 1 else ()
    subjects = dict.fromkeys((item.get("class_name"), item["subject"]) for item in items)
    _check_counts(Counter(name for name, _ in subjects), "subjects", root)
    fractions = (1.0 - _HELD_OUT, _HELD_OUT)
    train, held_out = split_by_subject(items, "subject", fractions, seed, stratify="label" if classes else None)
    in_train = Counter(dict.fromkeys((item.get("class_name") for item in items), 0))
    in_train.update(item.get("class_name") for item in train)
    _check_counts(in_train, "images in the training part", root)
    return FolderData(root, classes, channels, dims, train, held_out)


def name_unusable(items: Sequence[Mapping[str, Any]], spec: GeneratorSpec) -> None:
    """Reads every image as a training does.

    Raises:
        ValueError: images that cannot be read whole or brought into the generator's space; the first five are named.
    """
    prepare = preprocessing_for(spec, ["image"])
    problems = []
    for item in items:
        try:
            prepare({"image": item["image"]})
        except Exception as error:  # readers raise nearly anything
            problems.append(f"{item['image']} ({error.__cause__ or error})")
    _refuse(problems, len(items))


def _check_kinds(items: Sequence[Mapping[str, Any]], dims: int) -> None:
    """Pictures in 2D and NIfTI in 3D, no alpha, and the same depth of grey everywhere."""
    problems, whites = [], {}
    for path in (item["image"] for item in items):
        is_nifti = path.lower().endswith((".nii", ".nii.gz"))
        if is_nifti != (dims == 3) or path.lower().endswith(".dcm"):
            problems.append(f"{path} (allowed in {dims}D: {'PNG, JPEG, TIFF, BMP' if dims == 2 else 'NIfTI'})")
        elif dims == 2:
            with Image.open(path) as picture:
                mode = picture.mode
            whites[path] = _WHITE.get(mode)
            if mode not in _WHITE:
                problems.append(f"{path} (a picture of mode {mode!r}, allowed: {tuple(_WHITE)})")
    usual = Counter(whites.values()).most_common(1)[0][0] if whites else None
    if not problems:
        problems = [f"{path} (another depth of grey than most)" for path, white in whites.items() if white != usual]
    _refuse(problems, len(items))


def _refuse(problems: Sequence[str], count: int) -> None:
    if problems:
        raise ValueError(f"{len(problems)} of {count} images cannot be used: {_first_five(problems)}")


def _check_counts(counts: Mapping[str | None, int], what: str, root: Path) -> None:
    for name, count in counts.items():
        if count < 2:
            where = root if name is None else root / name
            raise ValueError(f"{where} has {count} {what}, at least 2 are needed.")


def _white(path: str) -> float:
    with Image.open(path) as picture:
        white = _WHITE[picture.mode]
        return float(np.asarray(picture).max()) if white is None else white


def _extent(path: str) -> np.ndarray[Any, Any]:
    """Size in mm along right, anterior, superior."""
    volume = nibabel.load(path)
    axes = nibabel.io_orientation(volume.affine)[:, 0].astype(int)
    extent: np.ndarray[Any, Any] = np.zeros(3)
    extent[axes] = np.array(volume.shape[:3]) * nibabel.affines.voxel_sizes(volume.affine)
    return extent
