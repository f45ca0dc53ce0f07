# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Images brought to the size that a network reads."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor
from torch.nn import functional

__all__ = ["smoothly_resized"]


def smoothly_resized(images: Tensor, size: Sequence[int]) -> Tensor:
    """Images of another size; each axis is scaled on its own, and borders stay as bright as they are.

    What becomes smaller is smoothed: in 2D by a filter of torch (a triangle as wide as a new pixel and its
    neighbours), in 3D by means over boxes. What becomes larger is interpolated linearly.

    Args:
        images: ``(n, c, *spatial)`` floats, 2D or 3D.
        size: new size, one number per axis.

    Returns:
        ``(n, c, *size)``; the images themselves where the size is right.
    """
    before, after = tuple(images.shape[2:]), tuple(size)
    if before == after:
        return images
    if len(after) == 2:
        return functional.interpolate(images, after, mode="bilinear", antialias=True)
    fewer = tuple(min(old, new) for old, new in zip(before, after, strict=True))
    if fewer != before:
        images = functional.interpolate(images, fewer, mode="area")
    return images if fewer == after else functional.interpolate(images, after, mode="trilinear")
