# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Products and distances of all pairs of rows, tile by tile in float64: memory does not grow with the samples."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

__all__ = ["distance_tiles", "mean_row", "product_tiles", "row_blocks"]

_BLOCK_ELEMENTS = 2**22  # of one block of rows: 32 MB in float64
_FEWEST_ROWS, _MOST_ROWS = 64, 512  # few make slow products, many make tiles that no cache holds
_SAME = 1e-12  # squared distance over squared lengths; below it there are only rounding errors of the product

Tile = tuple[slice, slice, Tensor]
"""Which rows of the first table, which of the second, and a float64 value for each pair of them."""


def row_blocks(features: Tensor, centre: Tensor | None = None) -> Iterator[tuple[slice, Tensor]]:
    """The rows of a table in float64, a bounded number at a time.

    Args:
        features: ``(n, d)``.
        centre: ``(d,)``, subtracted from every row; None for nothing.

    Yields:
        Which rows, and their values ``(rows, d)``.
    """
    size = max(_FEWEST_ROWS, min(_MOST_ROWS, _BLOCK_ELEMENTS // features.shape[1]))
    for start in range(0, len(features), size):
        rows = slice(start, min(start + size, len(features)))
        block = features[rows].to(torch.float64, copy=centre is not None)
        yield rows, block if centre is None else block.sub_(centre)


def mean_row(features: Tensor) -> Tensor:
    """Mean of the rows, ``(d,)`` in float64."""
    total = torch.zeros(features.shape[1], dtype=torch.float64, device=features.device)
    for _, block in row_blocks(features):
        total += block.sum(dim=0)
    return total / len(features)


def product_tiles(x: Tensor, y: Tensor | None = None, centre: Tensor | None = None) -> Iterator[Tile]:
    """Inner products of the rows of two tables.

    Args:
        x: ``(n, d)``.
        y: ``(m, d)``; None for x with itself, whose product is symmetric: then only the tiles on the diagonal (both
            slices are equal) and above it come.
        centre: ``(d,)``, subtracted from all rows first.
    """
    for rows, a in row_blocks(x, centre):
        for cols, b in row_blocks(x if y is None else y, centre):
            if y is not None or cols.start >= rows.start:
                yield rows, cols, a @ b.T


def distance_tiles(x: Tensor, y: Tensor | None, centre: Tensor) -> Iterator[Tile]:
    """Squared Euclidean distances of the rows of two tables, tiles as :func:`product_tiles` makes them.

    Equal rows have the distance 0 exactly; so have rows that are nearer to each other than a millionth of their
    distance to ``centre``.

    Args:
        x: ``(n, d)``.
        y: ``(m, d)``; None for x with itself.
        centre: ``(d,)``, a point amid the rows, which keeps the rounding errors of the products small.
    """
    x_lengths = _squared_lengths(x, centre)
    y_lengths = x_lengths if y is None else _squared_lengths(y, centre)
    for rows, cols, product in product_tiles(x, y, centre):
        lengths = x_lengths[rows, None] + y_lengths[cols]
        squared = product.mul_(-2.0).add_(lengths)
        yield rows, cols, squared.masked_fill_(squared <= lengths.mul_(_SAME), 0.0)


def _squared_lengths(features: Tensor, centre: Tensor) -> Tensor:
    return torch.cat([block.square().sum(dim=1) for _, block in row_blocks(features, centre)])
