# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Small normalised copies of images, by whose distance altered copies are recognised."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations, product

import torch
from monai.networks.layers.factories import Pool
from torch import Tensor

__all__ = ["SIDE", "thumbnail", "thumbnail_views"]

SIDE = {2: 16, 3: 8}
"""Cells per axis of the thumbnail of an image or a volume."""


def thumbnail(image: Tensor) -> Tensor:
    """Mean intensities on a coarse grid, without brightness and contrast.

    Two of them have the distance sqrt(2 - 2 r), where r is the correlation of the coarse images: 0 for copies, sqrt(2)
    for unrelated images. Images of other sizes have thumbnails of the same size.

    Args:
        image: ``(C, *spatial)``, 2D or 3D.

    Returns:
        ``(C * 16 * 16,)`` or ``(C * 8 * 8 * 8,)``, float32, mean 0 and length 1; all 0 for an image without contrast.
    """
    dims = image.ndim - 1
    values = image.detach().to("cpu", torch.float64)
    cells = Pool[Pool.ADAPTIVEAVG, dims](SIDE[dims])(values[None]).flatten()
    cells = cells - cells.mean()
    length = cells.norm()
    rounding = 1e-9 * values.abs().amax() * len(cells) ** 0.5
    return (cells / length if length > rounding else torch.zeros_like(cells)).float()


def thumbnail_views(channels: int, spatial_dims: int) -> dict[str, Tensor]:
    """What mirroring and rotating the image makes of its thumbnail, as orders of its elements.

    In 2D the eight symmetries of the square, in 3D the mirrorings along the axes.

    Args:
        channels: of the image.
        spatial_dims: 2 or 3.

    Returns:
        Name -> order: ``thumbnail[order]`` is the thumbnail of the changed image. ``"identity"`` comes first.
    """
    size = (channels, *(SIDE[spatial_dims],) * spatial_dims)
    grid = torch.arange(torch.Size(size).numel()).reshape(size)
    return {name: view.flatten() for name, view in _views(grid)}


def _views(grid: Tensor) -> Iterator[tuple[str, Tensor]]:
    dims = grid.ndim - 1
    if dims == 2:
        for turns, mirrored in product(range(4), (False, True)):
            view = grid.rot90(turns, (1, 2))
            words = [f"rotated {90 * turns}"] * (turns > 0) + ["mirrored"] * mirrored
            yield ", ".join(words) or "identity", view.flip(2) if mirrored else view
        return
    for count in range(dims + 1):
        for axes in combinations(range(dims), count):
            view = grid.flip([1 + axis for axis in axes]) if axes else grid
            yield f"mirrored {''.join(map(str, axes))}" if axes else "identity", view
