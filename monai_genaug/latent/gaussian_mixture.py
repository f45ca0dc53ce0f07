# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""A mixture of normal distributions fitted to the training codes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from monai_genaug.latent.base import LatentDistribution
from monai_genaug.latent.draws import standard_normal, uniform
from monai_genaug.latent.neighbours import check_codes, neighbour_spread

__all__ = ["GaussianMixtureLatent"]

# Added to every covariance's diagonal, relative to the codes' mean variance. With full covariances a component owns
# d (d + 1) / 2 numbers; when it holds fewer than d codes, this is what keeps it from collapsing onto them.
_RELATIVE_REGULARIZATION = 1e-3
_CODES_PER_COMPONENT = 5  # on average at least; with fewer, components are single training codes


class GaussianMixtureLatent(LatentDistribution):
    """Mixture of normal distributions with full covariances, fitted by expectation maximisation (scikit-learn).

    Towards truncation 0 each code approaches the mean of its component: truncation scales the deviation from that
    mean and leaves the choice of the component alone.

    Args:
        latent_dim: number of dimensions d of z.
        n_components: number of components K, >= 1; fewer than 5 K codes get one component per 5 codes.

    Attributes:
        weights: buffer ``(K,)``, probabilities of the components.
        means: buffer ``(K, d)``.
        factors: buffer ``(K, d, d)``, lower Cholesky factors of the covariances.

    Raises:
        ValueError: ``n_components`` is not positive.
    """

    resizable: ClassVar[tuple[str, ...]] = ("weights", "means", "factors")
    weights: Tensor
    means: Tensor
    factors: Tensor

    def __init__(self, latent_dim: int, n_components: int = 10) -> None:
        super().__init__(latent_dim)
        if n_components < 1:
            raise ValueError(f"n_components must be >= 1, got {n_components}.")
        self.n_components = n_components
        self.register_buffer("weights", torch.empty(0))
        self.register_buffer("means", torch.empty(0, latent_dim))
        self.register_buffer("factors", torch.empty(0, latent_dim, latent_dim))

    @property
    def is_fitted(self) -> bool:
        """Whether the mixture has components."""
        return len(self.weights) > 0

    def fit(self, codes: Tensor, *, classes: Tensor | None = None) -> None:
        """Fit the mixture to training codes; equal codes give an equal mixture.

        Args:
            codes: tensor ``(n, d)``, n >= 2.
            classes: not used.

        Raises:
            ValueError: wrong shape, values that are not finite, too few codes, or all codes equal.
        """
        from sklearn.mixture import GaussianMixture

        check_codes(codes, self.latent_dim, at_least=2)
        spread = neighbour_spread(codes)
        points = codes.detach().double().cpu()
        mixture = GaussianMixture(
            n_components=min(self.n_components, max(1, len(points) // _CODES_PER_COMPONENT)),
            covariance_type="full",
            reg_covar=_RELATIVE_REGULARIZATION * float(points.var(dim=0).mean()),
            max_iter=500,
            random_state=0,
        ).fit(points.numpy())
        self.spread = spread.to(self.spread)
        self.weights = torch.from_numpy(mixture.weights_).to(self.weights)
        self.means = torch.from_numpy(mixture.means_).to(self.means)
        self.factors = torch.linalg.cholesky(torch.from_numpy(mixture.covariances_)).to(self.factors)

    def log_prob(self, z: Tensor) -> Tensor:
        """Log density of codes ``(n, d)``, as a tensor ``(n,)`` in the dtype of z."""
        self._check_fitted()
        means, factors = self.means.to(z), self.factors.to(z)
        deviations = (z[:, None] - means).permute(1, 2, 0)  # (K, d, n)
        whitened = torch.linalg.solve_triangular(factors, deviations, upper=False)
        log_volume = factors.diagonal(dim1=1, dim2=2).log().sum(dim=1)
        constant = self.weights.to(z).log() - log_volume - 0.5 * self.latent_dim * math.log(2.0 * math.pi)
        return torch.logsumexp(constant[:, None] - 0.5 * whitened.square().sum(dim=1), dim=0)

    def _draw(self, seeds: Sequence[int], truncation: float) -> Tensor:
        weights, means, factors = (buffer.double().cpu() for buffer in (self.weights, self.means, self.factors))
        threshold = uniform(seeds, 1, stream=1).squeeze(1) * weights.sum()
        component = torch.searchsorted(weights.cumsum(0), threshold).clamp_max(len(weights) - 1)
        deviation = torch.einsum("nij,nj->ni", factors[component], standard_normal(seeds, self.latent_dim))
        return means[component] + truncation * deviation
