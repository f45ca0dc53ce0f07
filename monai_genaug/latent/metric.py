# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""The Riemannian metric of the RHVAE: its inverse, volume element and forces.

Chadebec et al., "Data augmentation in high dimensional low sample size setting using a geometry-based variational
autoencoder", arXiv 2105.00026, section 3.2:

    G^-1(z) = sum_i M_i exp(-|z - c_i|^2 / T^2) + lambda I,    M_i = L_i L_i^T.

:class:`MetricAt` and the functions on it are differentiable in points and terms, so that a batch's own centroids and
factors can serve during training; :class:`RiemannianMetric` stores the terms of a trained model. The matrices M_i stay
packed as rows of one (N, d*d) table: every sum over centroids is one matrix product, and no temporary is larger than
(n, N) or (n, d*d). All keep the precision of their arguments under autocast, whose bfloat16 products would lose the
distances.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, wraps
from typing import Any, ClassVar, ParamSpec, TypeVar

import torch
from torch import Tensor

from monai_genaug.latent.buffers import ResizableBuffers
from monai_genaug.latent.neighbours import check_codes

__all__ = [
    "MetricAt",
    "MetricTerms",
    "RiemannianMetric",
    "outer_products",
    "pack_products",
    "stable_cholesky",
]

_JITTER_STEPS = 8  # each ten times the one before

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")


def _without_autocast(function: Callable[_Arguments, _Result]) -> Callable[_Arguments, _Result]:
    """The function, with autocast off on the device of its first argument, a tensor or a :class:`MetricAt`."""

    @wraps(function)
    def wrapped(*args: _Arguments.args, **kwargs: _Arguments.kwargs) -> _Result:
        first: Any = args[0]
        kind = (first.z if isinstance(first, MetricAt) else first).device.type
        if not torch.is_autocast_enabled(kind):
            return function(*args, **kwargs)
        with torch.autocast(kind, enabled=False):
            return function(*args, **kwargs)

    return wrapped


@dataclass(frozen=True)
class MetricTerms:
    """What a metric consists of.

    Attributes:
        centroids: c_i, tensor ``(N, d)``.
        products: M_i packed, tensor ``(N, d*d)``, see :func:`pack_products`.
        temperature: T > 0, in units of z.
        regularization: lambda > 0.
    """

    centroids: Tensor
    products: Tensor
    temperature: Tensor | float
    regularization: Tensor | float

    def detached(self) -> MetricTerms:
        """The same without gradients."""
        return MetricTerms(self.centroids.detach(), self.products.detach(), self.temperature, self.regularization)

    def exponents(self, z: Tensor) -> Tensor:
        """-|z - c_i|^2 / T^2 of points ``(n, d)``, shape ``(n, N)``, as one product."""
        return torch.cat([z, z.square().sum(dim=1, keepdim=True), z.new_ones(len(z), 1)], dim=1) @ self._distances

    @cached_property
    def _distances(self) -> Tensor:
        """-|z - c|^2 / T^2 = (z, |z|^2, 1) . (2 c, -1, -|c|^2) / T^2, shape ``(d + 2, N)``."""
        ones = self.centroids.new_ones(len(self.centroids), 1)
        parts = [2.0 * self.centroids, -ones, -self.centroids.square().sum(dim=1, keepdim=True)]
        return (torch.cat(parts, dim=1) / self.temperature**2).T.contiguous()

    @cached_property
    def _ridge(self) -> Tensor:
        """What keeps G^-1 definite, lambda I, shape ``(1, d*d)``."""
        dim = self.centroids.shape[1]
        return (self.regularization * torch.eye(dim).to(self.centroids)).view(1, -1)

    @cached_property
    def pulls(self) -> Tensor:
        """(c, 1) / T^2, shape ``(N, d + 1)``."""
        return torch.cat([self.centroids, self.centroids.new_ones(len(self.centroids), 1)], dim=1) / self.temperature**2


@_without_autocast
def pack_products(factors: Tensor) -> Tensor:
    """M_i = L_i L_i^T of factors ``(N, d, d)``, as a table ``(N, d*d)``."""
    return (factors @ factors.transpose(1, 2)).flatten(1)


def outer_products(a: Tensor, b: Tensor) -> Tensor:
    """The products a b^T of vectors ``(n, d)``, packed as ``(n, d*d)``."""
    return (a[:, :, None] * b[:, None, :]).flatten(1)


class MetricAt:
    """The metric at some points: what does not depend on a momentum is computed once, when it is first asked for.

    Args:
        z: codes ``(n, d)``.
        terms: the metric, N centroids.
    """

    def __init__(self, z: Tensor, terms: MetricTerms) -> None:
        self.z, self.terms = z, terms

    @cached_property
    @_without_autocast
    def weights(self) -> Tensor:
        """w_i = exp(-|z - c_i|^2 / T^2), shape ``(n, N)``."""
        return self.terms.exponents(self.z).exp()

    @cached_property
    @_without_autocast
    def inverse(self) -> Tensor:
        """G^-1(z), symmetric positive definite matrices ``(n, d, d)``."""
        dim = self.z.shape[1]
        return torch.addmm(self.terms._ridge, self.weights, self.terms.products).view(-1, dim, dim)

    @cached_property
    @_without_autocast
    def factor(self) -> Tensor:
        """C of G^-1 = C C^T, lower triangular, ``(n, d, d)``."""
        return stable_cholesky(self.inverse)

    @cached_property
    @_without_autocast
    def log_volume(self) -> Tensor:
        """1/2 log det G^-1, the log density of manifold sampling up to a constant, ``(n,)``.

        -log_volume is the 1/2 log det G of the Hamiltonian.
        """
        return self.factor.diagonal(dim1=1, dim2=2).log().sum(dim=1)

    @_without_autocast
    def force(self, momentum: Tensor) -> Tensor:
        """Gradient of log_volume - 1/2 rho^T G^-1(z) rho with respect to z.

        d/dz 1/2 log det G^-1 = 1/2 sum_i tr(G M_i) dw_i/dz, and dw_i/dz = (2 / T^2) w_i (c_i - z), hence both together
        (1 / T^2) sum_i w_i tr((G - rho rho^T) M_i) (c_i - z).

        Args:
            momentum: rho ``(n, d)``.

        Returns:
            Tensor ``(n, d)``.
        """
        dim = self.z.shape[1]
        pulls = (self.weights * self.energies(momentum)) @ self.terms.pulls
        return torch.addcmul(pulls[:, :dim], pulls[:, dim:], self.z, value=-1)

    @_without_autocast
    def energies(self, momentum: Tensor) -> Tensor:
        """tr((G - rho rho^T) M_i) of momenta ``(n, d)``, shape ``(n, N)``."""
        outer = outer_products(momentum, momentum)
        return torch.addmm(self._traces, outer, self.terms.products.T, alpha=-1)

    @_without_autocast
    def velocity(self, momentum: Tensor) -> Tensor:
        """G^-1(z) rho of momenta ``(n, d)``."""
        return torch.bmm(self.inverse, momentum[:, :, None]).squeeze(2)

    @cached_property
    @_without_autocast
    def metric(self) -> Tensor:
        """G(z), ``(n, d, d)``."""
        inverse: Tensor = torch.cholesky_inverse(self.factor)
        return inverse

    @cached_property
    @_without_autocast
    def _traces(self) -> Tensor:
        """tr(G M_i), both are symmetric, ``(n, N)``."""
        return self.metric.flatten(1) @ self.terms.products.T


def stable_cholesky(matrices: Tensor) -> Tensor:
    """Lower Cholesky factors of symmetric matrices ``(n, d, d)`` that may be semidefinite up to rounding.

    A matrix that fails gets a growing multiple of the identity, relative to its mean diagonal; the others stay as they
    are, whatever else is in the batch.

    Raises:
        LinAlgError: (a RuntimeError) a matrix is not finite or far from positive definite.
    """
    factors: Tensor
    factors, failed = torch.linalg.cholesky_ex(matrices)
    if not bool(failed.any()):
        return factors
    identity = torch.eye(matrices.shape[-1], dtype=matrices.dtype, device=matrices.device)
    scale = matrices.detach().diagonal(dim1=1, dim2=2).mean(dim=1)
    bad = failed > 0
    jitter = torch.zeros_like(scale)
    for step in range(_JITTER_STEPS):
        jitter = torch.where(bad, scale * (torch.finfo(matrices.dtype).eps * 10.0**step), jitter)
        factors, failed = torch.linalg.cholesky_ex(matrices + jitter[:, None, None] * identity)
        if not bool(failed.any()):
            return factors
        bad = failed > 0
    raise torch.linalg.LinAlgError(  # type: ignore[attr-defined]
        f"{int(bad.sum())} of {len(matrices)} inverse metrics are not positive definite, or not finite."
    )


class RiemannianMetric(ResizableBuffers):
    """The metric of a trained model. All its numbers are buffers, so a state dict restores it.

    Args:
        latent_dim: number of dimensions d of z.
        temperature: T > 0, the width of a centroid's influence, in units of z.
        regularization: lambda > 0; far from all centroids G^-1 is lambda I.

    Attributes:
        centroids: buffer ``(N, d)``, codes of the training samples.
        factors: buffer ``(N, d, d)``, lower triangular L_i.

    Raises:
        ValueError: ``temperature`` or ``regularization`` is not positive.
    """

    resizable: ClassVar[tuple[str, ...]] = ("centroids", "factors")
    centroids: Tensor
    factors: Tensor
    temperature: Tensor
    regularization: Tensor

    def __init__(self, latent_dim: int, temperature: float = 1.5, regularization: float = 0.01) -> None:
        super().__init__()
        if not temperature > 0.0:
            raise ValueError(f"temperature must be > 0, got {temperature}.")
        if not regularization > 0.0:
            raise ValueError(f"regularization must be > 0, got {regularization}.")
        self.latent_dim = latent_dim
        self.register_buffer("centroids", torch.empty(0, latent_dim))
        self.register_buffer("factors", torch.empty(0, latent_dim, latent_dim))
        self.register_buffer("temperature", torch.tensor(float(temperature)))
        self.register_buffer("regularization", torch.tensor(float(regularization)))

    def fit(self, centroids: Tensor, factors: Tensor) -> None:
        """Set centroids and factors.

        Args:
            centroids: tensor ``(N, d)``, N >= 1.
            factors: tensor ``(N, d, d)``, lower triangular.

        Raises:
            ValueError: wrong shape, or values that are not finite; nothing is changed.
        """
        check_codes(centroids, self.latent_dim, at_least=1, name="centroids")
        expected = (len(centroids), self.latent_dim, self.latent_dim)
        if factors.shape != expected:
            raise ValueError(f"factors must have shape {expected}, got {tuple(factors.shape)}.")
        if not bool(factors.isfinite().all()):
            raise ValueError("factors must be finite.")
        self.centroids = centroids.detach().to(self.centroids, copy=True)
        self.factors = factors.detach().to(self.factors, copy=True)

    def terms(self, dtype: torch.dtype = torch.float64) -> MetricTerms:
        """The stored terms in a given dtype, for the functions of this module."""
        return MetricTerms(
            self.centroids.to(dtype),
            pack_products(self.factors.to(dtype)),
            self.temperature.to(dtype),
            self.regularization.to(dtype),
        )

    def at(self, z: Tensor) -> MetricAt:
        """The stored metric at codes ``(n, d)``, in their dtype."""
        return MetricAt(z, self.terms(z.dtype))
