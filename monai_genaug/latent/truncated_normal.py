# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""A standard normal without its tails."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from monai_genaug.latent.base import LatentDistribution
from monai_genaug.latent.draws import uniform

__all__ = ["TruncatedNormalLatent"]


class TruncatedNormalLatent(LatentDistribution):
    """Standard normal with each axis restricted to [-bound, bound]; truncation scales the bound.

    The truncation trick of Brock et al. (BigGAN, arXiv 1809.11096, section 3.1), by the inverse distribution function
    in place of rejection: every code takes d uniform numbers, whatever their values.

    Args:
        latent_dim: number of dimensions d of z.
        bound: largest absolute value of a coordinate, in standard deviations, > 0.

    Raises:
        ValueError: ``bound`` is not a positive finite number.
    """

    bound: Tensor

    def __init__(self, latent_dim: int, bound: float = 2.0) -> None:
        super().__init__(latent_dim)
        if not (bound > 0.0 and math.isfinite(bound)):
            raise ValueError(f"bound must be positive and finite, got {bound}.")
        self.register_buffer("bound", torch.tensor(float(bound)))

    def _draw(self, seeds: Sequence[int], truncation: float) -> Tensor:
        bound = truncation * self.bound.double().cpu()
        lower, upper = torch.special.ndtr(-bound), torch.special.ndtr(bound)
        z: Tensor = torch.special.ndtri(lower + uniform(seeds, self.latent_dim) * (upper - lower))
        return z.clamp(-bound, bound)
