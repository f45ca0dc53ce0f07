# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Balls that reach from each sample to its k-th nearest other one: what neighbourhood metrics call the manifold."""

from __future__ import annotations

import torch
from torch import Tensor

from monai_genaug.metrics.blocks import distance_tiles, mean_row

__all__ = ["in_closed_balls", "in_open_balls", "squared_radii"]

_TIE = 1e-9  # relative; distances that differ less are equal, so that no result hangs on rounding errors


def squared_radii(features: Tensor, k: int) -> Tensor:
    """Squared distance of every row to its k-th nearest other row.

    Args:
        features: ``(n, d)``, n > k.
        k: 1 and more.

    Returns:
        Tensor ``(n,)``, float64.
    """
    nearest = torch.full((len(features), k), torch.inf, dtype=torch.float64, device=features.device)
    for rows, cols, squared in distance_tiles(features, None, mean_row(features)):
        if rows == cols:
            squared.fill_diagonal_(torch.inf)
        else:
            nearest[cols] = _smallest(nearest[cols], squared.T)
        nearest[rows] = _smallest(nearest[rows], squared)
    return nearest.amax(dim=1)


def in_open_balls(squared: Tensor, radii: Tensor) -> Tensor:
    """Whether squared distances are below squared radii; equal ones are not."""
    return squared < radii * (1.0 - _TIE)


def in_closed_balls(squared: Tensor, radii: Tensor) -> Tensor:
    """Whether squared distances are at most squared radii."""
    return squared <= radii * (1.0 + _TIE)


def _smallest(known: Tensor, more: Tensor) -> Tensor:
    return torch.cat([known, more], dim=1).topk(known.shape[1], dim=1, largest=False, sorted=False).values
