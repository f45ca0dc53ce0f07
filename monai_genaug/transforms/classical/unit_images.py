# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""What every recipe starts with: 2D images in [0, 1], and masks that fit them."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import torch
from monai.config import KeysCollection
from monai.data import get_track_meta
from monai.transforms import MapTransform
from monai.utils import convert_to_tensor
from torch import Tensor

__all__: list[str] = []

_SLACK = 1e-4


class _UnitImaged(MapTransform):
    """Images as float32 tensors in [0, 1], masks as tensors; everything else is refused.

    Args:
        keys: of grey or RGB images, ``(1 or 3, height, width)`` in [0, 1]; interpolation may overshoot by 1e-4.
        mask_keys: of masks, ``(channels, height, width)``.
        square: whether height and width must be the same.
    """

    def __init__(self, keys: KeysCollection, mask_keys: KeysCollection, square: bool) -> None:
        super().__init__(keys)
        self.mask_keys = mask_keys
        self.square = square

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Returns a copy of the item.

        Raises:
            ValueError: a shape or intensities that are not allowed; the text names the key.
        """
        d = dict(data)
        shape: tuple[int, ...] = ()
        for key in self.key_iterator(d):
            image = convert_to_tensor(d[key], dtype=torch.float32, track_meta=get_track_meta())
            _check_image(image, key, self.square)
            shape = shape or tuple(image.shape[1:])
            _check_size(image, key, shape)
            d[key] = image.clamp(0.0, 1.0)
        for key in self.mask_keys:
            d[key] = convert_to_tensor(d[key], track_meta=get_track_meta())
            _check_size(d[key], key, shape)
        return d


def _check_image(image: Tensor, key: Hashable, square: bool) -> None:
    if image.ndim != 3 or image.shape[0] not in (1, 3):
        raise ValueError(f"image {key!r} has shape {tuple(image.shape)}, allowed: (1 or 3, height, width).")
    if square and image.shape[1] != image.shape[2]:
        raise ValueError(f"image {key!r} has shape {tuple(image.shape)}: a quarter turn needs height = width.")
    low, high = image.min().item(), image.max().item()
    if not (low >= -_SLACK and high <= 1 + _SLACK):  # also where one is NaN
        raise ValueError(f"image {key!r} spans [{low:g}, {high:g}], allowed: [0, 1]; divide 8-bit images by 255.")


def _check_size(value: Tensor, key: Hashable, shape: tuple[int, ...]) -> None:
    if value.ndim != 3 or tuple(value.shape[1:]) != shape:
        raise ValueError(f"{key!r} has shape {tuple(value.shape)}, the first image has height and width {shape}.")
