# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Distances between codes: how far apart neighbours are, in all directions and per axis."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["check_codes", "nearest_distances", "neighbour_spread", "squared_distances"]

_CHUNK_ELEMENTS = 2**22  # elements of one block of the distance matrix: 32 MB in float64


def squared_distances(a: Tensor, b: Tensor) -> Tensor:
    """Squared Euclidean distances as one matrix product, differentiable.

    Args:
        a: points of shape ``(n, d)``.
        b: points of shape ``(m, d)``.

    Returns:
        Tensor ``(n, m)``, >= 0.
    """
    product = a @ b.transpose(0, 1)
    return (a.square().sum(1, keepdim=True) - 2.0 * product + b.square().sum(1)).clamp_min(0.0)


def nearest_distances(codes: Tensor, references: Tensor | None = None) -> Tensor:
    """Distance of each code to the nearest reference, in float64 and in blocks of bounded memory.

    Args:
        codes: tensor ``(n, d)``.
        references: tensor ``(m, d)``; None takes the *other* codes (leave one out).

    Returns:
        Tensor ``(n,)``, float64.
    """
    codes = codes.double()
    targets = codes if references is None else references.to(codes)
    block = max(1, _CHUNK_ELEMENTS // max(1, len(targets)))
    nearest = []
    for first in range(0, len(codes), block):
        distances = torch.cdist(codes[first : first + block], targets, compute_mode="donot_use_mm_for_euclid_dist")
        if references is None:
            distances.diagonal(offset=first).fill_(torch.inf)
        nearest.append(distances.amin(dim=1))
    return torch.cat(nearest) if nearest else codes.new_empty(0)


def neighbour_spread(codes: Tensor) -> Tensor:
    """Per-axis distance between neighbouring codes.

    The vector has the length of the median nearest-neighbour distance and the proportions of the codes' standard
    deviations, so that a step of one spread along random signs leads about as far as the next code, and no further
    along axes that the codes hardly use.

    Args:
        codes: tensor ``(n, d)``, n >= 2, not all equal.

    Returns:
        Tensor ``(d,)``, float64, >= 0.

    Raises:
        ValueError: the codes are malformed (see :func:`check_codes`) or all equal.
    """
    check_codes(codes, codes.shape[-1], at_least=2)
    deviation = codes.double().std(dim=0)
    if not bool(deviation.any()):
        raise ValueError(f"All {len(codes)} codes are equal: there is no distance between neighbours.")
    distances = nearest_distances(codes)
    positive = distances[distances > 0]  # repeated codes say nothing about the distance between different ones
    spread: Tensor = deviation * (positive.median() / deviation.norm())
    return spread


def check_codes(codes: Tensor, latent_dim: int, at_least: int, name: str = "codes") -> None:
    """Check that a tensor is a finite table of codes.

    Raises:
        ValueError: not of shape ``(n >= at_least, latent_dim)``, or not finite.
    """
    if codes.ndim != 2 or codes.shape[1] != latent_dim or len(codes) < at_least:
        raise ValueError(f"{name} must have shape (n >= {at_least}, {latent_dim}), got {tuple(codes.shape)}.")
    if not bool(codes.isfinite().all()):
        raise ValueError(f"{name} must be finite, got {int((~codes.isfinite()).sum())} values that are not.")
