# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""How realistic is each single sample?"""

from __future__ import annotations

import torch
from torch import Tensor

from monai_genaug.metrics.balls import squared_radii
from monai_genaug.metrics.blocks import distance_tiles, mean_row
from monai_genaug.metrics.checks import check_features, check_neighbours
from monai_genaug.metrics.feature_metric import FeatureMetric

__all__ = ["RealismMetric", "realism_scores"]


@torch.no_grad()
def realism_scores(real: Tensor, synthetic: Tensor, k: int = 3) -> Tensor:
    """Realism score of every synthetic sample (Kynkaanniemi et al., arXiv 1904.06991, eq. 3).

    The largest ratio, over the real samples, of the radius of a real sample's ball (the distance to its k-th nearest
    other real sample) and the distance between it and the synthetic sample. As in the paper, the half of the real
    samples with the largest balls takes no part: those lie where real samples are rare. A score says how near a
    sample is to real ones, not whether it is new: copies score highest.

    Args:
        real, synthetic: features ``(n, d)`` and ``(m, d)``.
        k: neighbours, at least 1 and below n.

    Returns:
        Scores ``(m,)``, float64, from 0 up; from 1 on, a sample lies inside a ball; infinity for a copy of one of the
        real samples that take part.

    Raises:
        ValueError: k out of range, features that :func:`check_features` refuses, or real samples of which half have k
            equal others.
    """
    check_neighbours(k, real=real)
    check_features(real, synthetic, at_least=1)
    radii = squared_radii(real, k)
    limit = radii.quantile(0.5)
    if not limit > 0:
        raise ValueError(f"at least half of the {len(real)} real samples have k={k} equal others: no ball around them.")
    kept = radii <= limit
    real, radii = real[kept], radii[kept]
    best = torch.zeros(len(synthetic), dtype=torch.float64, device=real.device)
    for rows, cols, squared in distance_tiles(real, synthetic, mean_row(real)):
        ratios = (radii[rows, None] / squared).masked_fill_(squared == 0, torch.inf)
        best[cols] = torch.maximum(best[cols], ratios.amax(dim=0))
    return best.sqrt()


class RealismMetric(FeatureMetric):
    """:func:`realism_scores` of features that come in batches, see :class:`FeatureMetric`.

    Args:
        k: neighbours.
    """

    def __init__(self, k: int = 3) -> None:
        super().__init__()
        check_neighbours(k)
        self.k = k

    def aggregate(self) -> Tensor:
        """Scores of the synthetic samples ``(m,)`` in the order they came in; with several ranks, rank by rank."""
        return realism_scores(*self.gathered(), self.k)
