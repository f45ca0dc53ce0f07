# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Data lists of the Medical Segmentation Decathlon (Antonelli et al., Nature Communications 13:4128, 2022)."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from monai_genaug.data.image_files import _first_five

__all__ = ["decathlon_items", "hippocampus_subject", "select_split"]


def decathlon_items(folder: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """The training items of a Decathlon folder, from its ``dataset.json``.

    Args:
        folder: a folder like ``Task04_Hippocampus``.

    Returns:
        ``{"image": path, "label": path, "subject": subject}`` per item, sorted by image; paths are absolute. The
        subject is :func:`hippocampus_subject` of hippocampus volumes, and the file's name in other tasks.

    Raises:
        FileNotFoundError: no ``dataset.json``, or volumes that it lists and that are not there (named).
        ValueError: a ``dataset.json`` without a list ``training`` of images and labels, or one without items.
    """
    root = Path(folder).expanduser().resolve()
    description = root / "dataset.json"
    if not description.is_file():
        raise FileNotFoundError(f"{description} does not exist: {root} is not a Decathlon folder.")
    try:
        pairs = [(entry["image"], entry["label"]) for entry in json.loads(description.read_text())["training"]]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{description} is not a Decathlon description: {error!r}.") from error
    if not pairs:
        raise ValueError(f"{description} lists no training items.")
    paths = sorted((str((root / image).resolve()), str((root / label).resolve())) for image, label in pairs)
    missing = [path for pair in paths for path in pair if not Path(path).is_file()]
    if missing:
        raise FileNotFoundError(
            f"{len(missing)} of {2 * len(paths)} files of {description} are missing: {_first_five(missing)}"
        )
    return [{"image": image, "label": label, "subject": _subject(image)} for image, label in paths]


def select_split(
    items: Sequence[Mapping[str, Any]], split_file: str | os.PathLike[str], part: str
) -> list[dict[str, Any]]:
    """The items of one part of a committed split.

    Args:
        items: data list as from :func:`decathlon_items`.
        split_file: JSON object that lists the file names of the images of each part; other entries are ignored.
        part: the part, for example ``"train"``.

    Returns:
        The items in the order of the list; items that no part lists are left out.

    Raises:
        ValueError: an unknown part, a file that is in two parts, or listed files that are not among the items.
    """
    content = json.loads(Path(split_file).read_text())
    parts = {name: names for name, names in content.items() if isinstance(names, list)}
    if part not in parts:
        raise ValueError(f"{split_file} has no part {part!r}; its parts are {sorted(parts)}.")
    listed = [name for names in parts.values() for name in names]
    if len(set(listed)) < len(listed):
        raise ValueError(f"{split_file} lists {sorted({n for n in listed if listed.count(n) > 1})} more than once.")
    by_name = {Path(item["image"]).name: dict(item) for item in items}
    missing = [name for name in parts[part] if name not in by_name]
    if missing:
        raise ValueError(
            f"{len(missing)} of {len(parts[part])} files of part {part!r} are not there: {_first_five(missing)}"
        )
    return [by_name[name] for name in parts[part]]


def hippocampus_subject(name: str | os.PathLike[str]) -> int:
    """The subject of a volume of Decathlon task 4: files 2k-1 and 2k are two volumes of subject k.

    The data set does not say so; intensity percentiles, mask volumes and shapes of such pairs agree far better than
    those of other pairs.

    Args:
        name: file name or path, such as ``hippocampus_017.nii.gz``.

    Returns:
        The subject's number, ceil(file number / 2): 9 for file 17.

    Raises:
        ValueError: a name of another form.
    """
    found = re.fullmatch(r"hippocampus_(\d+)(\.nii(\.gz)?)?", Path(name).name)
    if found is None:
        raise ValueError(f"{str(name)!r} is no hippocampus volume, expected a name like 'hippocampus_017.nii.gz'.")
    return (int(found[1]) + 1) // 2


def _subject(path: str) -> int | str:
    name = Path(path).name
    if name.startswith("hippocampus_"):
        return hippocampus_subject(name)
    return name.removesuffix(".gz").removesuffix(".nii")
