# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""The standard normal prior."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor

from monai_genaug.latent.base import LatentDistribution
from monai_genaug.latent.draws import standard_normal

__all__ = ["NormalLatent"]


class NormalLatent(LatentDistribution):
    """Standard normal z ~ N(0, I); truncation multiplies z.

    Args:
        latent_dim: number of dimensions d of z.
    """

    def log_prob(self, z: Tensor) -> Tensor:
        """Log density of codes ``(n, d)``, as a tensor ``(n,)`` in the dtype of z."""
        return -0.5 * (z.square().sum(dim=1) + self.latent_dim * math.log(2.0 * math.pi))

    def _draw(self, seeds: Sequence[int], truncation: float) -> Tensor:
        return truncation * standard_normal(seeds, self.latent_dim)
