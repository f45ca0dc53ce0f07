# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""How many different samples does a set hold?"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from monai_genaug.metrics.blocks import product_tiles, row_blocks
from monai_genaug.metrics.checks import check_feature_table
from monai_genaug.metrics.feature_metric import FeatureMetric

__all__ = ["VendiScoreMetric", "vendi_score"]


@torch.no_grad()
def vendi_score(features: Tensor) -> float:
    """Effective number of different samples (Friedman and Dieng, arXiv 2210.02410, definition 3.1).

    exp(-sum_i l_i log l_i) with the eigenvalues l_i of K/n, where K holds the cosine similarities of all pairs. It
    looks at one set alone: it measures diversity, not whether samples are realistic. It grows with n; features that
    share a large common part, such as non-negative ones, give small values for diverse sets too, so that values are
    compared with that of as many real samples.

    At most min(n, d) x min(n, d) numbers are decomposed.

    Args:
        features: ``(n, d)``.

    Returns:
        From 1 (all point in the same direction) to min(n, d) (all orthogonal).

    Raises:
        ValueError: features that :func:`check_feature_table` refuses, or a row of zeros, which has no direction.
    """
    check_feature_table(features, "the", at_least=1)
    n, d = features.shape
    lengths = torch.cat([block.norm(dim=1) for _, block in row_blocks(features)])
    if not bool(lengths.all()):
        raise ValueError(f"row {int((lengths == 0).nonzero()[0])} of the features is zero: it has no direction.")
    similarity = torch.zeros(min(n, d), min(n, d), dtype=torch.float64, device=features.device)
    if d < n:  # the d x d matrix has the same eigenvalues, but for zeros
        for rows, block in row_blocks(features):
            block = block / lengths[rows, None]
            similarity += block.T @ block
    else:
        for rows, cols, product in product_tiles(features):
            similarity[rows, cols] = product / (lengths[rows, None] * lengths[cols])
    weights = torch.linalg.eigvalsh(similarity, UPLO="U").clamp(min=0.0)
    weights = weights / weights.sum()
    return float(torch.special.entr(weights).sum().exp())


class VendiScoreMetric(FeatureMetric):
    """:func:`vendi_score` of synthetic features that come in batches, see :class:`FeatureMetric`.

    Real features may be given, as MONAI's handlers do; they are not kept.
    """

    def _compute_tensor(self, y_pred: Tensor | None, y: Tensor | None = None, **kwargs: Any) -> list[Tensor | None]:
        return super()._compute_tensor(y_pred, None)

    def aggregate(self) -> float:
        """The score."""
        return vendi_score(self.gathered()[1])
