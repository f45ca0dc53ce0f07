# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Frechet distance between two sets of features."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from monai_genaug.metrics.blocks import mean_row, row_blocks
from monai_genaug.metrics.checks import check_features
from monai_genaug.metrics.feature_metric import FeatureMetric

__all__ = ["FrechetDistanceMetric", "frechet_distance"]


@torch.no_grad()
def frechet_distance(real: Tensor, synthetic: Tensor) -> float:
    """Squared 2-Wasserstein distance between Gaussians fitted to two sets of features.

    Heusel et al., arXiv 1706.08500, eq. 6: ``|m - m'|^2 + Tr(C + C' - 2 (C C')^(1/2))``. With centred features X, Y
    the trace of the root is the nuclear norm of X Y^T over sqrt((n - 1)(m - 1)); it is unchanged when X and Y are
    replaced by the triangles of their QR decompositions. No matrix root is taken and nothing larger than
    min(n, d) x min(m, d) is decomposed.

    It sees means and covariances alone, quality and diversity in one number. It is too large for few samples (two sets
    of one distribution have no distance of 0), so that only values of equal numbers can be compared:
    :func:`kernel_distance` has no such bias.

    Args:
        real, synthetic: ``(n, d)`` and ``(m, d)``, at least two rows each.

    Returns:
        The distance, in squared units of the features; 0 for equal moments.

    Raises:
        ValueError: fewer than two rows, or features that :func:`check_features` refuses.
    """
    check_features(real, synthetic, at_least=2)
    real_mean, synthetic_mean = mean_row(real), mean_row(synthetic)
    x, y = _triangle(real, real_mean), _triangle(synthetic, synthetic_mean)
    shift = (real_mean - synthetic_mean).square().sum()
    traces = torch.linalg.vector_norm(x) ** 2 + torch.linalg.vector_norm(y) ** 2
    cross = torch.linalg.svdvals(x @ y.T).sum()
    return float((shift + traces - 2.0 * cross).clamp(min=0.0))


class FrechetDistanceMetric(FeatureMetric):
    """:func:`frechet_distance` of features that come in batches, see :class:`FeatureMetric`."""

    def aggregate(self) -> float:
        """The distance."""
        return frechet_distance(*self.gathered())


def _triangle(features: Tensor, mean: Tensor) -> Tensor:
    """A matrix R ``(min(n, d), d)`` with R^T R = covariance, from a QR decomposition that takes the rows in blocks."""
    n, d = features.shape
    rows: list[Tensor] = []
    for _, block in row_blocks(features, mean):
        rows.append(block.div_(math.sqrt(n - 1)))
        if sum(map(len, rows)) > 2 * d:
            rows = [torch.linalg.qr(torch.cat(rows), mode="r").R]
    r = rows[0] if len(rows) == 1 else torch.cat(rows)
    return r if len(r) <= d else torch.linalg.qr(r, mode="r").R
