# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Opens the images of a data list before anything trains on them."""

from __future__ import annotations

import importlib
import math
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import nibabel
from PIL import Image

from monai_genaug.data.image_files import _first_five

__all__ = ["check_images"]

_Form = tuple[int, int]  # channels, spatial dimensions


def check_images(items: Sequence[Mapping[str, Any]], channels: int | None = None) -> tuple[int, int]:
    """Checks that every image can be opened and that all are of one kind.

    PNG files are read whole (checksums), JPEG files decoded at reduced size, other pictures decoded; of NIfTI and
    DICOM files the header is read, and that an uncompressed NIfTI file is as long as it says.

    Args:
        items: data list whose ``"image"`` is a path, or a channel-first array or tensor. A NIfTI file with a fourth
            axis has its channels there.
        channels: how many each image must have; None: the number that most of them have.

    Returns:
        The number of channels and of spatial dimensions, the same of all images.

    Raises:
        ValueError: no items, or images that cannot be read, show indices into a palette, have several pages, another
            number of channels or, unlike most of them, two or three spatial dimensions. The first five are named.
        ImportError: DICOM files without the package ``pydicom``.
    """
    if not items:
        raise ValueError("there are no items to check.")
    forms: dict[int, _Form] = {}
    problems: dict[int, str] = {}
    for number, item in enumerate(items):
        try:
            forms[number] = _form_of(item["image"])
        except ImportError:
            raise
        except Exception as error:  # decoders raise nearly anything
            problems[number] = f"{type(error).__name__}: {error}"
    dims = _most_frequent([form[1] for form in forms.values()])
    expected = channels if channels is not None else _most_frequent([form[0] for form in forms.values()])
    for number, (n_channels, n_dims) in forms.items():
        if n_dims != dims:
            problems[number] = f"{n_dims} spatial dimensions, not {dims}"
        elif n_channels != expected:
            problems[number] = f"{n_channels} channels, not {expected}"
    if problems:
        shown = _first_five(f"{_named(items[number], number)} ({problems[number]})" for number in sorted(problems))
        raise ValueError(f"{len(problems)} of {len(items)} images cannot be used: {shown}")
    assert expected is not None  # some image is without problems
    assert dims is not None
    return expected, dims


def _form_of(image: Any) -> _Form:
    if not isinstance(image, (str, os.PathLike)):
        return int(image.shape[0]), len(image.shape) - 1
    path = Path(image)
    name = path.name.lower()
    if name.endswith((".nii", ".nii.gz")):
        return _nifti_form(path)
    return _dicom_form(path) if name.endswith(".dcm") else _picture_form(path)


def _nifti_form(path: Path) -> _Form:
    volume = nibabel.load(path)
    shape = volume.shape
    if path.suffix == ".nii":
        length = volume.dataobj.offset + volume.get_data_dtype().itemsize * math.prod(shape)
        if path.stat().st_size < length:
            raise ValueError(f"the file is shorter than {length} bytes")
    return (int(shape[3]), 3) if len(shape) == 4 else (1, len(shape))


def _dicom_form(path: Path) -> _Form:
    try:
        pydicom = importlib.import_module("pydicom")
    except ImportError as error:
        raise ImportError("DICOM files need the package pydicom: pip install pydicom.") from error
    header = pydicom.dcmread(path, stop_before_pixels=True)
    _ = header.Rows, header.Columns
    return int(header.SamplesPerPixel), 3 if int(header.get("NumberOfFrames", 1)) > 1 else 2


def _picture_form(path: Path) -> _Form:
    with Image.open(path) as image:
        channels, mode, pages = len(image.getbands()), image.mode, getattr(image, "n_frames", 1)
        if image.format == "PNG":
            image.verify()
        else:
            image.draft(None, (1, 1))  # the smallest size that a JPEG file decodes to; no other format reacts
            image.load()
    if mode in ("P", "PA"):
        raise ValueError("a palette image, convert it to grey or RGB")
    if pages > 1:
        raise ValueError(f"{pages} pages, one is needed")
    return channels, 2


def _most_frequent(numbers: Sequence[int]) -> int | None:
    return Counter(numbers).most_common(1)[0][0] if numbers else None


def _named(item: Mapping[str, Any], number: int) -> str:
    image = item.get("image")
    return str(image) if isinstance(image, (str, os.PathLike)) else f"item {number}"
