# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""HAM10000, dermatoscopic images of skin lesions (Tschandl et al., Scientific Data 5:180161, 2018)."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

from monai_genaug.data.image_archives import extract_images
from monai_genaug.data.image_files import _existing_folder, _image_files
from monai_genaug.data.image_tables import image_table_items

__all__ = ["HAM10000_CLASSES", "ham10000_items"]

HAM10000_CLASSES = ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc")
"""The diagnoses 0, 1, ...: actinic keratosis, basal cell carcinoma, benign keratosis, dermatofibroma, melanoma, nevus,
vascular lesion. DermaMNIST has the same ones in this order."""

_TABLES = ("metadata.csv", "HAM10000_metadata.csv")
_SUFFIXES = (".jpg", ".jpeg", ".png")


def ham10000_items(
    folder: str | os.PathLike[str], image_dir: str | os.PathLike[str] | None = None
) -> list[dict[str, Any]]:
    """The images of HAM10000 with diagnosis and lesion.

    Several images may be of one lesion, so the subject is the lesion: split with
    ``split_by_subject(items, "subject", stratify="label")``. The set does not say which lesions are of one patient.
    Its licence is CC-BY-NC-4.0.

    Args:
        folder: has the table (``metadata.csv`` or ``HAM10000_metadata.csv``), and the images in sub-folders or as zip
            files named ``*images*.zip``.
        image_dir: where the images lie if not in ``folder``. If there are zip files, their images are extracted there,
            once (:func:`extract_images`).

    Returns:
        Per row of the table, sorted by image, a dictionary with ``image`` (absolute path), ``label`` (id, the place in
        :data:`HAM10000_CLASSES`), ``class_name`` (diagnosis), ``subject`` (lesion), ``age`` (years), ``sex`` and
        ``site``. Where the table is empty the age is NaN and a text is empty; it also has ``"unknown"``.

    Raises:
        FileNotFoundError: the table, the images, or some of the images that the table lists are not there (named).
        ValueError: a table with other columns, diagnoses or ages, zip files and no ``image_dir`` for their images, or
            zip files that cannot be read.
    """
    root = _existing_folder(folder)
    table = next((root / name for name in _TABLES if (root / name).is_file()), None)
    if table is None:
        raise FileNotFoundError(f"{root} has none of {', '.join(_TABLES)}: it is not a folder of HAM10000.")
    images = root if image_dir is None else Path(image_dir)
    archives = sorted(root.glob("*images*.zip"))
    if archives and image_dir is not None:
        images = extract_images(archives, image_dir, _SUFFIXES)
    elif archives and not _image_files(root, _SUFFIXES):
        raise ValueError(f"{archives[0]} holds the images: give image_dir, a folder to extract them into.")
    items = image_table_items(
        table,
        images,
        "image_id",
        class_column="dx",
        subject_column="lesion_id",
        classes=HAM10000_CLASSES,
        suffixes=_SUFFIXES,
        columns={"age": "age", "sex": "sex", "site": "localization"},
    )
    for item in items:
        item["age"] = _years(item["age"], item["image"])
    return items


def _years(text: str, image: str) -> float:
    if not text:
        return math.nan
    try:
        return float(text)
    except ValueError as error:
        raise ValueError(f"the age of {image} is {text!r}, a number is needed.") from error
