# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Balls that reach from each sample to its k-th nearest other one: what neighbourhood metrics call the manifold."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from monai_genaug.metrics.blocks import distance_tiles, mean_row

__all__ = ["in_closed_balls", "in_open_balls", "several_squared_radii", "squared_radii"]

_TIE = 1e-9  # relative; distances that differ less are equal, so that no result hangs on rounding errors


def squared_radii(features: Tensor, k: int) -> Tensor:
    """Squared distance of every row to its k-th nearest other row.

    Args:
        features: ``(n, d)``, n > k.
        k: 1 and more.

    Returns:
        Tensor ``(n,)``, float64.
    """
    return several_squared_radii(features, (k,))[0]


def several_squared_radii(features: Tensor, ks: Sequence[int]) -> list[Tensor]:
    """:func:`squared_radii` for several k, of one pass over the distances."""
    nearest = torch.full((len(features), max(ks)), torch.inf, dtype=torch.float64, device=features.device)
    for rows, cols, squared in distance_tiles(features, None, mean_row(features)):
        if rows == cols:
            squared.fill_diagonal_(torch.inf)
        else:
            nearest[cols] = _smallest(nearest[cols], squared.T)
        nearest[rows] = _smallest(nearest[rows], squared)
    ordered = nearest.sort(dim=1).values
    return [ordered[:, k - 1] for k in ks]


def in_open_balls(squared: Tensor, radii: Tensor) -> Tensor:
    """Whether squared distances are below squared radii; equal ones are not."""
    return squared < radii * (1.0 - _TIE)


def in_closed_balls(squared: Tensor, radii: Tensor) -> Tensor:
    """Whether squared distances are at most squared radii."""
    return squared <= radii * (1.0 + _TIE)


def _smallest(known: Tensor, more: Tensor) -> Tensor:
    return torch.cat([known, more], dim=1).topk(known.shape[1], dim=1, largest=False, sorted=False).values
