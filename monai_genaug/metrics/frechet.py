# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Frechet distance between two sets of features."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from monai_genaug.metrics.checks import check_features

__all__ = ["frechet_distance"]


def frechet_distance(real: Tensor, synthetic: Tensor) -> float:
    """Squared 2-Wasserstein distance between Gaussians fitted to two sets of features.

    Heusel et al., arXiv 1706.08500, eq. 6: |m - m'|^2 + Tr(C + C' - 2 (C C')^(1/2)). With centred features X, Y the
    trace of the root is the nuclear norm of X Y^T over sqrt((n - 1)(m - 1)); it is unchanged when X and Y are replaced
    by the triangles of their QR decompositions. No matrix root is taken and nothing larger than
    min(n, d) x min(m, d) is decomposed.

    Args:
        real, synthetic: ``(n, d)`` and ``(m, d)``, at least two rows each.

    Returns:
        The distance, in squared units of the features; 0 for equal moments.

    Raises:
        ValueError: fewer than two rows, different feature sizes, NaN or infinity.
    """
    check_features(real, synthetic, at_least=2)
    x, y = real.double(), synthetic.double()
    shift = (x.mean(dim=0) - y.mean(dim=0)).square().sum()
    x, y = x - x.mean(dim=0), y - y.mean(dim=0)
    x, y = x / math.sqrt(len(x) - 1), y / math.sqrt(len(y) - 1)
    r, s = torch.linalg.qr(x, mode="r").R, torch.linalg.qr(y, mode="r").R
    cross = torch.linalg.svdvals(r @ s.T).sum()
    return float((shift + x.square().sum() + y.square().sum() - 2.0 * cross).clamp(min=0.0))
