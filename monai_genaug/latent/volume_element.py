# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""The volume element of a metric that no longer changes, prepared for many evaluations.

What ``log_volume`` of :class:`monai_genaug.latent.metric.MetricAt` and its ``force`` at rest are, without gradients
through them, as four matrix products of precomputed tables with everything else in place. The matrices M_i and G are
symmetric: only the entries of their lower triangles, d (d + 1) / 2, are multiplied.
"""

from __future__ import annotations

import torch
from torch import Tensor

from monai_genaug.latent.metric import MetricTerms, stable_cholesky

__all__ = ["VolumeElement"]


class VolumeElement:
    """1/2 log det G^-1 of a metric and its gradient, in the dtype and on the device of the metric's terms.

    Args:
        terms: the metric, N centroids in d dimensions.

    Attributes:
        centroids: c_i, tensor ``(N, d)``.
    """

    def __init__(self, terms: MetricTerms) -> None:
        centroids = self.centroids = terms.centroids
        count, dim = centroids.shape
        self._terms = terms
        lower = torch.tril_indices(dim, dim, device=centroids.device)
        self._lower = lower[0] * dim + lower[1]  # entries of a flattened matrix that are stored
        self._full = _positions(lower, dim)  # where each entry of the full matrix is stored
        squared = torch.as_tensor(terms.temperature).to(centroids) ** 2
        self._products = terms.products[:, self._lower].contiguous()
        twice = torch.where(lower[0] == lower[1], 1.0, 2.0).to(centroids)  # tr(G M) counts both triangles
        self._traces = (self._products * twice).T.contiguous()
        self._centroids_and_one = torch.cat([centroids, centroids.new_ones(count, 1)], 1) / squared
        self._regularization = (terms.regularization * torch.eye(dim).to(centroids)).flatten()
        self._squared_temperature = squared

    def evaluate(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Values ``(n,)`` and gradients with respect to z ``(n, d)`` at points ``(n, d)``."""
        dim = z.shape[1]
        # w_i = exp(-|z - c_i|^2 / T^2)
        weights = self._terms.exponents(z).exp_()
        # G^-1 = sum_i w_i M_i + lambda I
        inverse = (weights @ self._products)[:, self._full].add_(self._regularization)
        factor = stable_cholesky(inverse.view(-1, dim, dim))
        metric = torch.cholesky_inverse(factor).flatten(1)[:, self._lower]  # G
        # (1 / T^2) sum_i w_i tr(G M_i) (c_i - z)
        pull = weights.mul_(metric @ self._traces) @ self._centroids_and_one
        force = pull[:, :dim] - pull[:, dim:] * z
        return factor.diagonal(dim1=1, dim2=2).log().sum(dim=1), force

    def nearest_squared(self, z: Tensor) -> Tensor:
        """Squared distance of each point ``(n, d)`` to its nearest centroid, ``(n,)``."""
        return self._terms.exponents(z).amax(dim=1).neg_().clamp_min_(0.0) * self._squared_temperature


def _positions(lower: Tensor, dim: int) -> Tensor:
    """For every entry of a flattened symmetric matrix, its place in the list of the lower triangle's entries."""
    positions = torch.empty(dim, dim, dtype=torch.int64, device=lower.device)
    numbers = torch.arange(lower.shape[1], device=lower.device)
    positions[lower[0], lower[1]] = numbers
    positions[lower[1], lower[0]] = numbers
    return positions.flatten()
