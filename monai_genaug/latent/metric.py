# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""The Riemannian metric of the RHVAE: its inverse, volume element and forces.

Chadebec et al., "Data augmentation in high dimensional low sample size setting using a geometry-based variational
autoencoder", arXiv 2105.00026, section 3.2:

    G^-1(z) = sum_i M_i exp(-|z - c_i|^2 / T^2) + lambda I,    M_i = L_i L_i^T.

The functions take the metric's terms as arguments and are differentiable in all of them, so that a batch's own
centroids and factors can serve during training; :class:`RiemannianMetric` stores the terms of a trained model. The
matrices M_i stay packed as rows of one (N, d*d) table: every sum over centroids is one matrix product, and no
temporary is larger than (n, N) or (n, d*d). They keep the precision of their arguments under autocast, whose bfloat16
products would lose the distances.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ClassVar, NamedTuple, ParamSpec, TypeVar

import torch
from torch import Tensor

from monai_genaug.latent.buffers import ResizableBuffers
from monai_genaug.latent.neighbours import check_codes, squared_distances

__all__ = [
    "MetricTerms",
    "RiemannianMetric",
    "inverse_metric",
    "kinetic_force",
    "log_volume",
    "log_volume_and_force",
    "pack_products",
    "stable_cholesky",
]

_JITTER_STEPS = 8  # each ten times the one before

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")


def _without_autocast(function: Callable[_Arguments, _Result]) -> Callable[_Arguments, _Result]:
    """The function, with autocast off on the device of its first tensor."""

    @wraps(function)
    def wrapped(*args: _Arguments.args, **kwargs: _Arguments.kwargs) -> _Result:
        first = next(value for value in (*args, *kwargs.values()) if isinstance(value, Tensor))
        with torch.autocast(first.device.type, enabled=False):
            return function(*args, **kwargs)

    return wrapped


class MetricTerms(NamedTuple):
    """Arguments that all functions of this module share; pass them as ``*terms``.

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


@_without_autocast
def pack_products(factors: Tensor) -> Tensor:
    """M_i = L_i L_i^T of factors ``(N, d, d)``, as a table ``(N, d*d)``."""
    return (factors @ factors.transpose(1, 2)).flatten(1)


@_without_autocast
def inverse_metric(
    z: Tensor, centroids: Tensor, products: Tensor, temperature: Tensor | float, regularization: Tensor | float
) -> Tensor:
    """G^-1(z).

    Args:
        z: codes ``(n, d)``.
        centroids: c_i, tensor ``(N, d)``.
        products: M_i packed, tensor ``(N, d*d)``.
        temperature: T, in units of z.
        regularization: lambda.

    Returns:
        Symmetric positive definite matrices ``(n, d, d)``.
    """
    return _assemble(_weights(z, centroids, temperature), products, regularization, z.shape[1])


@_without_autocast
def log_volume(
    z: Tensor, centroids: Tensor, products: Tensor, temperature: Tensor | float, regularization: Tensor | float
) -> Tensor:
    """1/2 log det G^-1(z), the log density of manifold sampling up to a constant, as a tensor ``(n,)``.

    Arguments as in :func:`inverse_metric`. -log_volume is the 1/2 log det G(z) of the Hamiltonian.
    """
    return _half_log_det(stable_cholesky(inverse_metric(z, centroids, products, temperature, regularization)))


@_without_autocast
def log_volume_and_force(
    z: Tensor, centroids: Tensor, products: Tensor, temperature: Tensor | float, regularization: Tensor | float
) -> tuple[Tensor, Tensor]:
    """1/2 log det G^-1(z) and its gradient, from one Cholesky factorisation.

    With w_i = exp(-|z - c_i|^2 / T^2): d/dz 1/2 log det G^-1 = 1/2 sum_i tr(G M_i) dw_i/dz, and
    dw_i/dz = (2 / T^2) w_i (c_i - z), hence the gradient (1 / T^2) sum_i w_i tr(G M_i) (c_i - z).

    Args:
        z: codes ``(n, d)``.
        centroids: c_i, tensor ``(N, d)``.
        products: M_i packed, tensor ``(N, d*d)``.
        temperature: T, in units of z.
        regularization: lambda.

    Returns:
        Values ``(n,)`` and gradients with respect to z ``(n, d)``.
    """
    weights = _weights(z, centroids, temperature)
    factor = stable_cholesky(_assemble(weights, products, regularization, z.shape[1]))
    metric = torch.cholesky_inverse(factor).flatten(1)  # G(z)
    traces = metric @ products.transpose(0, 1)  # tr(G M_i), both are symmetric
    return _half_log_det(factor), _pull(weights * traces, z, centroids, temperature)


@_without_autocast
def kinetic_force(
    z: Tensor,
    momentum: Tensor,
    centroids: Tensor,
    products: Tensor,
    temperature: Tensor | float,
    regularization: Tensor | float,
) -> Tensor:
    """Gradient of 1/2 rho^T G^-1(z) rho with respect to z: (1 / T^2) sum_i w_i (rho^T M_i rho) (c_i - z).

    Args:
        z: codes ``(n, d)``.
        momentum: rho ``(n, d)``.
        centroids: c_i, tensor ``(N, d)``.
        products: M_i packed, tensor ``(N, d*d)``.
        temperature: T, in units of z.
        regularization: lambda, without influence on this gradient.

    Returns:
        Tensor ``(n, d)``.
    """
    outer = (momentum[:, :, None] * momentum[:, None, :]).flatten(1)
    weights = _weights(z, centroids, temperature) * (outer @ products.transpose(0, 1))
    return _pull(weights, z, centroids, temperature)


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

    Every method computes in the dtype of its argument z.

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

    def inverse(self, z: Tensor) -> Tensor:
        """See :func:`inverse_metric`."""
        return inverse_metric(z, *self.terms(z.dtype))

    def log_volume(self, z: Tensor) -> Tensor:
        """See :func:`log_volume`."""
        return log_volume(z, *self.terms(z.dtype))

    def log_volume_and_force(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """See :func:`log_volume_and_force`."""
        return log_volume_and_force(z, *self.terms(z.dtype))

    def kinetic_force(self, z: Tensor, momentum: Tensor) -> Tensor:
        """See :func:`kinetic_force`."""
        return kinetic_force(z, momentum, *self.terms(z.dtype))


def _weights(z: Tensor, centroids: Tensor, temperature: Tensor | float) -> Tensor:
    """w_i(z) = exp(-|z - c_i|^2 / T^2), shape (n, N)."""
    return torch.exp(-squared_distances(z, centroids) / temperature**2)


def _assemble(weights: Tensor, products: Tensor, regularization: Tensor | float, dim: int) -> Tensor:
    """sum_i w_i M_i + lambda I, shape (n, d, d)."""
    identity = torch.eye(dim, dtype=weights.dtype, device=weights.device)
    return (weights @ products).view(-1, dim, dim) + regularization * identity


def _pull(weights: Tensor, z: Tensor, centroids: Tensor, temperature: Tensor | float) -> Tensor:
    """(1 / T^2) sum_i weights_i (c_i - z), shape (n, d)."""
    return (weights @ centroids - weights.sum(dim=1, keepdim=True) * z) / temperature**2


def _half_log_det(factor: Tensor) -> Tensor:
    """1/2 log det of the matrices L L^T, from L; shape (n,)."""
    return factor.diagonal(dim1=1, dim2=2).log().sum(dim=1)
