# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""One image or mask of an item: read from what the item holds, written to a file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import torch
from monai.data import MetaTensor
from monai.transforms import LoadImage
from monai.utils import convert_to_tensor
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

__all__: list[str] = []

_PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")
_FULL_SCALE = {"uint8": 255.0, "uint16": 65535.0, "bool": 1.0}
_SLACK = 1e-4


def _read_volume(value: Any, is_mask: bool) -> Tensor:
    """What an item holds, as a channel-first tensor.

    Args:
        value: a path, or a channel-first array or tensor.
        is_mask: whether the values are labels, which stay as they are.

    Returns:
        A ``MetaTensor``, ``(C, height, width)``, or ``(C, *spatial)`` of a volume. Images are float32; 2D ones of 8 or
        16 bits are divided by their largest possible value.

    Raises:
        ValueError: a picture of indices into a palette, neither two nor three spatial dimensions, or 2D integers of
            another size.
    """
    if isinstance(value, (str, os.PathLike)):
        value = _read_file(Path(value))
    if len(value.shape) not in (3, 4):
        raise ValueError(f"shape is {tuple(value.shape)}, allowed: channels, then two or three spatial dimensions.")
    if is_mask:
        labels: Tensor = convert_to_tensor(value, track_meta=True)
        return labels
    kind = str(value.dtype).removeprefix("torch.")
    scale = _FULL_SCALE.get(kind, 1.0) if len(value.shape) == 3 else 1.0
    if len(value.shape) == 3 and kind not in _FULL_SCALE and not kind.startswith("float"):
        raise ValueError(f"2D image of type {kind}, allowed: {', '.join(_FULL_SCALE)} or float in [0, 1].")
    image: Tensor = convert_to_tensor(value, dtype=torch.float32, track_meta=True)
    return image / scale


def _write_volume(value: Any, stem: Path, is_mask: bool) -> Path:
    """Writes a 2D image or mask as PNG with 8 bits, a 3D one as compressed NIfTI.

    Args:
        value: channel-first tensor or array.
        stem: path without suffix.
        is_mask: whether the values are labels.

    Returns:
        The file's path.

    Raises:
        ValueError: values that the file cannot hold.
    """
    array = convert_to_tensor(value, track_meta=False).detach().cpu().numpy()
    if array.ndim not in (3, 4):
        raise ValueError(f"shape is {array.shape}, allowed: channels, then two or three spatial dimensions.")
    if not np.isfinite(array).all():
        raise ValueError("there are NaN or infinite values.")
    labels = _labels(array) if is_mask else None
    if array.ndim == 3:
        path = stem.with_name(f"{stem.name}.png")
        Image.fromarray(_picture(array) if labels is None else _picture_of_labels(labels)).save(path)
        return path
    path = stem.with_name(f"{stem.name}.nii.gz")
    volume = np.moveaxis(array.astype(np.float32) if labels is None else labels, 0, -1)
    affine = value.affine.cpu().numpy() if isinstance(value, MetaTensor) else np.eye(4)
    nibabel.save(nibabel.Nifti1Image(volume[..., 0] if volume.shape[-1] == 1 else volume, affine), path)
    return path


def _read_file(path: Path) -> Any:
    if path.suffix.lower() not in _PICTURES:
        return LoadImage(image_only=True, ensure_channel_first=True)(path)
    with Image.open(path) as picture:  # not by MONAI's reader, which transposes
        if picture.mode == "P":
            raise ValueError(f"{path} holds indices into a palette: convert it to grey or RGB.")
        array = np.array(picture)
    return array[None] if array.ndim == 2 else np.moveaxis(array, -1, 0)


def _labels(array: NDArray[Any]) -> NDArray[Any]:
    """Whole numbers, in the smallest type that holds them."""
    low, high = array.min(), array.max()
    kinds = [
        kind for kind in (np.uint8, np.int16, np.int32) if np.iinfo(kind).min <= low and high <= np.iinfo(kind).max
    ]
    if not kinds or (array != np.round(array)).any():
        raise ValueError(f"a mask spans [{low}, {high}], allowed: whole numbers of 32 bits.")
    return array.astype(kinds[0])


def _picture(array: NDArray[Any]) -> NDArray[Any]:
    low, high = array.min(), array.max()
    if array.shape[0] not in (1, 3):
        raise ValueError(f"a 2D image has shape {array.shape}, allowed: (1 or 3, height, width).")
    if low < -_SLACK or high > 1 + _SLACK:
        raise ValueError(f"a 2D image spans [{low:g}, {high:g}], allowed: [0, 1]; leave normalisation to training.")
    return _channel_last(np.round(array.clip(0, 1) * 255).astype(np.uint8))


def _picture_of_labels(labels: NDArray[Any]) -> NDArray[Any]:
    if labels.shape[0] != 1 or labels.dtype != np.uint8:
        raise ValueError(
            f"a 2D mask has shape {labels.shape} and values in [{labels.min()}, {labels.max()}], "
            "allowed: (1, height, width) and [0, 255]."
        )
    return _channel_last(labels)


def _channel_last(array: NDArray[Any]) -> NDArray[Any]:
    return array[0] if array.shape[0] == 1 else np.moveaxis(array, 0, -1)
