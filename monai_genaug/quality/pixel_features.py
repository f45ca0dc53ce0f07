# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Pixels of small copies of images, as features that need no network."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from monai_genaug.quality.thumbnails import SIDE, thumbnail

__all__ = ["PixelThumbnails"]


@dataclass(frozen=True)
class PixelThumbnails:
    """Pixels of standardised thumbnails, see :func:`thumbnail`: neither brightness nor contrast changes them.

    Averaging areas blurs away noise, and shifts by a fraction of a thumbnail's pixel. The squared distance of two
    images is 2 - 2 * (the correlation of their thumbnails): 0 for copies, at most 4.
    """

    @property
    def identity(self) -> str:
        """What makes these features what they are."""
        return f"PixelThumbnails {SIDE}"

    def __call__(self, images: Tensor) -> Tensor:
        """Features ``(n, F)``, float32, of images ``(n, C, *spatial)`` in 2D or 3D."""
        return torch.stack([thumbnail(image) for image in images])
