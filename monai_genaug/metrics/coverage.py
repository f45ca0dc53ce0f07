# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Density and coverage of a synthetic set."""

from __future__ import annotations

import torch
from torch import Tensor

from monai_genaug.metrics.balls import in_open_balls, squared_radii
from monai_genaug.metrics.blocks import distance_tiles, mean_row
from monai_genaug.metrics.checks import check_features, check_neighbours
from monai_genaug.metrics.feature_metric import FeatureMetric

__all__ = ["DensityCoverageCounts", "DensityCoverageMetric", "density_and_coverage"]


@torch.no_grad()
def density_and_coverage(real: Tensor, synthetic: Tensor, k: int = 5) -> tuple[float, float]:
    """Density and coverage (Naeem et al., arXiv 2002.09797, eq. 3 and 4).

    Around every real sample lies an open ball that reaches its k-th nearest other real sample. Density is the mean
    number of balls that a synthetic sample lies in, over k; coverage is the share of balls that hold a synthetic
    sample. Density says whether samples lie where real ones are frequent, coverage whether they lie near all real
    ones. A few real outliers change neither much, but both depend on the numbers of samples, so that only values of
    equal numbers can be compared. Copies of the real samples get the best values.

    Args:
        real, synthetic: features ``(n, d)`` and ``(m, d)``.
        k: neighbours, at least 1 and below n.

    Returns:
        Density (0 and up; 1 for equal distributions in expectation) and coverage in [0, 1], for equal distributions
        about 1 - 2^-k.

    Raises:
        ValueError: k out of range, or features that :func:`check_features` refuses.
    """
    check_neighbours(k, real=real)
    check_features(real, synthetic, at_least=1)
    counts = DensityCoverageCounts(squared_radii(real, k), k)
    for tile in distance_tiles(real, synthetic, mean_row(real)):
        counts.add(*tile)
    return counts.values(len(synthetic))


class DensityCoverageCounts:
    """How many synthetic samples lie in balls, from the distances between the sets, tile by tile.

    Args:
        radii: of the real samples, squared, ``(n,)``.
        k: that the balls reach to.
    """

    def __init__(self, radii: Tensor, k: int) -> None:
        self.radii, self.k = radii, k
        self.inside, self.covered = 0, torch.zeros_like(radii, dtype=torch.bool)

    def add(self, rows: slice, _cols: slice, squared: Tensor) -> None:
        """Takes squared distances of some real rows to some synthetic ones."""
        held = in_open_balls(squared, self.radii[rows, None])
        self.inside += int(held.sum())
        self.covered[rows] |= held.any(dim=1)

    def values(self, n_synthetic: int) -> tuple[float, float]:
        """Density and coverage."""
        return self.inside / (self.k * n_synthetic), float(self.covered.double().mean())


class DensityCoverageMetric(FeatureMetric):
    """:func:`density_and_coverage` of features that come in batches, see :class:`FeatureMetric`.

    Args:
        k: neighbours.
    """

    def __init__(self, k: int = 5) -> None:
        super().__init__()
        check_neighbours(k)
        self.k = k

    def aggregate(self) -> tuple[float, float]:
        """Density and coverage."""
        return density_and_coverage(*self.gathered(), self.k)
