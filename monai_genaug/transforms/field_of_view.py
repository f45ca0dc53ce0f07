# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Remembers, through padding and moving, which voxels were measured."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import MapTransform, Transform
from monai.utils import convert_to_tensor
from torch import Tensor

__all__ = ["FieldOfView", "FieldOfViewD", "FieldOfViewDict", "FieldOfViewd"]


class FieldOfView(Transform):
    """A mask of ones as large as the image.

    Padded with zeros along with the image, it tells measured voxels from padding, so that a loss can leave out what
    nobody measured.
    """

    def __call__(self, img: Any) -> Tensor:
        """Returns ``(1, *spatial)`` float32 ones for a channel-first image, with the meta data of a ``MetaTensor``."""
        ones = torch.ones_like(convert_to_tensor(img, track_meta=False)[:1], dtype=torch.float32)
        if isinstance(img, MetaTensor):
            ones = MetaTensor(ones, meta=img.meta, applied_operations=img.applied_operations)
        return ones


class FieldOfViewd(MapTransform):
    """Dictionary version of :class:`FieldOfView`.

    Args:
        keys: one key, of the image.
        observed_key: where the mask goes.
        allow_missing_keys: whether items without the image pass unchanged.

    Raises:
        ValueError: not exactly one key.
    """

    def __init__(self, keys: KeysCollection, observed_key: str = "observed", allow_missing_keys: bool = False) -> None:
        super().__init__(keys, allow_missing_keys)
        if len(self.keys) != 1:
            raise ValueError(f"keys {self.keys}: FieldOfViewd needs exactly one.")
        self.observed_key = observed_key
        self.make = FieldOfView()

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Adds the mask to a copy of the item."""
        item = dict(data)
        for key in self.key_iterator(item):
            item[self.observed_key] = self.make(item[key])
        return item


FieldOfViewD = FieldOfViewDict = FieldOfViewd
