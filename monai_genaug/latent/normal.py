# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""The standard normal prior."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor

from monai_genaug.latent.base import LatentDistribution
from monai_genaug.latent.draws import standard_normal
from monai_genaug.latent.neighbours import check_codes, neighbour_spread

__all__ = ["NormalLatent"]


class NormalLatent(LatentDistribution):
    """Standard normal z ~ N(0, I); truncation multiplies z.

    Args:
        latent_dim: number of dimensions d of z.
    """

    def fit(self, codes: Tensor) -> None:
        """Measure the spread of training codes; the distribution itself has nothing to fit.

        Args:
            codes: tensor ``(n, d)``, n >= 2.

        Raises:
            ValueError: wrong shape, values that are not finite, or all codes equal.
        """
        check_codes(codes, self.latent_dim, at_least=2)
        self.spread = neighbour_spread(codes).to(self.spread)

    def log_prob(self, z: Tensor) -> Tensor:
        """Log density of codes ``(n, d)``, as a tensor ``(n,)`` in the dtype of z."""
        return -0.5 * (z.square().sum(dim=1) + self.latent_dim * math.log(2.0 * math.pi))

    def _draw(self, seeds: Sequence[int], truncation: float) -> Tensor:
        return truncation * standard_normal(seeds, self.latent_dim)
