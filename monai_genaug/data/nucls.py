# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Pictures of single nuclei cut out of NuCLS, breast cancer histology (Amgad et al., GigaScience 11:giac037, 2022)."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from monai_genaug.data.image_files import _existing_folder, _first_five, _image_files

__all__ = ["NUCLS_CLASSES", "nucls_items"]

NUCLS_CLASSES = ("stromal", "TIL", "tumor")
"""The classes 0, 1, 2: stromal cells, tumour-infiltrating lymphocytes, tumour cells."""

_UNKNOWN = "unknown"
# label . . . patient (first 12 characters, the second dash field is the lab) . ...
_NAME = re.compile(r"(?P<label>[^.]+)\.[^.]*\.[^.]*\.(?P<patient>(?=[^-.]+-(?P<lab>[^-.]+)-)[^.]{12})[^.]*\..+")


def nucls_items(folder: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """The nuclei in a folder, whose file names say what they show and whose they are.

    Names are ``<label>.<...>.<...>.<slide>[.<...>].png``. The patient is the first 12 characters of the slide, such as
    ``TCGA-A1-A0SK``; its second part is the laboratory that took the sample. Slides of one laboratory look alike, so
    split by laboratory: ``split_by_subject(items, "lab")``. The licence of NuCLS is CC0-1.0.

    Args:
        folder: has the PNG files, in sub-folders or not.

    Returns:
        ``{"image": path, "label": id, "class_name": name, "subject": patient, "lab": name}`` per nucleus, sorted by
        path; paths are absolute. Ids count :data:`NUCLS_CLASSES`. Nuclei with the label ``unknown`` are left out.

    Raises:
        FileNotFoundError: the folder does not exist.
        ValueError: a folder without labelled nuclei, or files (named) with a name of another form or another label.
    """
    root = _existing_folder(folder)
    names = [(path, _NAME.fullmatch(path.name)) for path in _image_files(root, (".png",))]
    labels = (*NUCLS_CLASSES, _UNKNOWN)
    strange = [path.name for path, match in names if match is None or match["label"] not in labels]
    if strange:
        raise ValueError(
            f"{len(strange)} files in {root} are not named <label>.<...>.<...>.<slide>.png with a label of {labels}: "
            f"{_first_five(strange)}"
        )
    items = [_item(path, match) for path, match in names if match is not None and match["label"] != _UNKNOWN]
    if not items:
        raise ValueError(f"{root} has no labelled nuclei (PNG files).")
    return items


def _item(path: Path, fields: re.Match[str]) -> dict[str, Any]:
    label, patient, lab = fields["label"], fields["patient"], fields["lab"]
    return {
        "image": str(path),
        "label": NUCLS_CLASSES.index(label),
        "class_name": label,
        "subject": patient,
        "lab": lab,
    }
