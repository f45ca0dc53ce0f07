# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Improved precision and recall of a synthetic set."""

from __future__ import annotations

import torch
from torch import Tensor

from monai_genaug.metrics.balls import in_closed_balls, squared_radii
from monai_genaug.metrics.blocks import distance_tiles, mean_row
from monai_genaug.metrics.checks import check_features, check_neighbours
from monai_genaug.metrics.feature_metric import FeatureMetric

__all__ = ["PrecisionRecallCounts", "PrecisionRecallMetric", "precision_and_recall"]


@torch.no_grad()
def precision_and_recall(real: Tensor, synthetic: Tensor, k: int = 3) -> tuple[float, float]:
    """Improved precision and recall (Kynkaanniemi et al., arXiv 1904.06991, eq. 1 and 2).

    The manifold of a set is the union of the closed balls around its samples that reach their k-th nearest other
    sample. Precision is the share of synthetic samples on the real manifold (are they realistic?), recall the share
    of real samples on the synthetic manifold (can the generator make them?). One outlier makes one large ball, which
    may hold many samples of the other set: see :func:`density_and_coverage`. Both grow with k and depend on the
    numbers of samples, so that only values of equal numbers can be compared. Copies of the real samples get (1, 1).

    Args:
        real, synthetic: features ``(n, d)`` and ``(m, d)``.
        k: neighbours, at least 1 and below n and m.

    Returns:
        Precision and recall, each in [0, 1]; 1 is best.

    Raises:
        ValueError: k out of range, or features that :func:`check_features` refuses.
    """
    check_neighbours(k, real=real, synthetic=synthetic)
    check_features(real, synthetic, at_least=1)
    counts = PrecisionRecallCounts(squared_radii(real, k), squared_radii(synthetic, k))
    for tile in distance_tiles(real, synthetic, mean_row(real)):
        counts.add(*tile)
    return counts.values()


class PrecisionRecallCounts:
    """Who lies on whose manifold, from the distances between the sets, tile by tile.

    Args:
        real_radii, synthetic_radii: squared, ``(n,)`` and ``(m,)``.
    """

    def __init__(self, real_radii: Tensor, synthetic_radii: Tensor) -> None:
        self.radii = real_radii, synthetic_radii
        self.recalled, self.precise = (torch.zeros_like(radii, dtype=torch.bool) for radii in self.radii)

    def add(self, rows: slice, cols: slice, squared: Tensor) -> None:
        """Takes squared distances of some real rows to some synthetic ones."""
        self.precise[cols] |= in_closed_balls(squared, self.radii[0][rows, None]).any(dim=0)
        self.recalled[rows] |= in_closed_balls(squared, self.radii[1][cols]).any(dim=1)

    def values(self) -> tuple[float, float]:
        """Precision and recall."""
        return float(self.precise.double().mean()), float(self.recalled.double().mean())


class PrecisionRecallMetric(FeatureMetric):
    """:func:`precision_and_recall` of features that come in batches, see :class:`FeatureMetric`.

    Args:
        k: neighbours.
    """

    def __init__(self, k: int = 3) -> None:
        super().__init__()
        check_neighbours(k)
        self.k = k

    def aggregate(self) -> tuple[float, float]:
        """Precision and recall."""
        return precision_and_recall(*self.gathered(), self.k)
