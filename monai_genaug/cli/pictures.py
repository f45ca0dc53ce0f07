# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Images as they are stored, read when they are asked for."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from monai.transforms import LoadImage
from monai.utils import convert_to_tensor
from torch import Tensor

from monai_genaug.generators.preprocessing import _PictureReader

__all__ = ["Pictures"]


class Pictures(Sequence[Tensor]):
    """Channel-first images of items; integers as they are, floating values of each image scaled to [0, 1].

    Args:
        items: with ``image``, a path or a channel-first array.
    """

    def __init__(self, items: Sequence[Mapping[str, Any]]) -> None:
        self.items = items
        self._load = LoadImage(ensure_channel_first=True, dtype=None)
        self._load.register(_PictureReader())

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: Any) -> Any:
        image = self.items[index]["image"]
        if isinstance(image, (str, os.PathLike)):
            image = self._read(image)
        values = convert_to_tensor(torch.as_tensor(image), track_meta=False)
        return _unit(values) if values.is_floating_point() else values

    def _read(self, path: str | os.PathLike[str]) -> Any:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "The given NumPy array is not writable")
            try:
                return self._load(path)
            except Exception as error:  # readers raise nearly anything
                raise ValueError(f"{path} cannot be read: {error}") from error


def _unit(values: Tensor) -> Tensor:
    if not values.isfinite().all():
        raise ValueError("an image holds NaN or infinite values.")
    low, high = values.min(), values.max()
    return (values - low) / (high - low) if high > low else torch.zeros_like(values)
