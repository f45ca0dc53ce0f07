# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Precision, recall, density and coverage of one pass over the distances."""

from __future__ import annotations

import torch
from torch import Tensor

from monai_genaug.metrics.balls import several_squared_radii, squared_radii
from monai_genaug.metrics.blocks import distance_tiles, mean_row
from monai_genaug.metrics.checks import check_features, check_neighbours
from monai_genaug.metrics.coverage import DensityCoverageCounts
from monai_genaug.metrics.precision_recall import PrecisionRecallCounts

__all__ = ["neighbourhood_values"]


@torch.no_grad()
def neighbourhood_values(
    real: Tensor, synthetic: Tensor, k: int = 3, k_density: int = 5
) -> tuple[float, float, float, float]:
    """What :func:`precision_and_recall` and :func:`density_and_coverage` return, in less time than both take.

    Args:
        real, synthetic: features ``(n, d)`` and ``(m, d)``.
        k: neighbours of precision and recall, at least 1 and below n and m.
        k_density: neighbours of density and coverage, at least 1 and below n.

    Returns:
        Precision, recall, density and coverage.

    Raises:
        ValueError: k or k_density out of range, or features that :func:`check_features` refuses.
    """
    check_neighbours(k, real=real, synthetic=synthetic)
    check_neighbours(k_density, real=real)
    check_features(real, synthetic, at_least=1)
    radii, wider = several_squared_radii(real, (k, k_density))
    on_manifolds = PrecisionRecallCounts(radii, squared_radii(synthetic, k))
    in_balls = DensityCoverageCounts(wider, k_density)
    for tile in distance_tiles(real, synthetic, mean_row(real)):
        on_manifolds.add(*tile)
        in_balls.add(*tile)
    return *on_manifolds.values(), *in_balls.values(len(synthetic))
