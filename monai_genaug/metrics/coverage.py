# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Density and coverage of a synthetic set."""

from __future__ import annotations

import torch
from torch import Tensor

from monai_genaug.metrics.checks import check_features

__all__ = ["density_and_coverage"]


def density_and_coverage(real: Tensor, synthetic: Tensor, k: int = 5) -> tuple[float, float]:
    """Density and coverage (Naeem et al., arXiv 2002.09797, eq. 3 and 4).

    Around every real sample lies a ball that reaches its k-th nearest other real sample. Density is the mean number
    of balls that a synthetic sample lies in, over k; coverage is the share of balls that hold a synthetic sample.

    Args:
        real, synthetic: features ``(n, d)`` and ``(m, d)``.
        k: neighbours, at least 1 and below n.

    Returns:
        Density (0 and up; 1 for equal distributions in expectation) and coverage in [0, 1].

    Raises:
        ValueError: k out of range, or features that :func:`check_features` refuses.
    """
    if k < 1:
        raise ValueError(f"k is {k}, allowed: 1 and more.")
    check_features(real, synthetic, at_least=1)
    if len(real) <= k:
        raise ValueError(f"{len(real)} real samples are too few for k={k} neighbours, at least {k + 1} are needed.")
    x, y = real.double(), synthetic.double()
    radii = torch.cdist(x, x).kthvalue(k + 1, dim=1).values  # the nearest one is the sample itself
    inside = torch.cdist(x, y) < radii[:, None]
    return float(inside.sum() / (k * len(y))), float(inside.any(dim=1).double().mean())
