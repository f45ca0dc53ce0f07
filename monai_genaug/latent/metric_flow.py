# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""A Hamiltonian flow on the Riemannian metric, each part one node of the graph, with its gradient in closed form.

Chadebec, Mantoux, Allassonniere, arXiv 2010.11518, section 3; Girolami and Calderhead, "Riemann manifold Langevin and
Hamiltonian Monte Carlo methods", J. R. Stat. Soc. B 73 (2011), section 4. A training step is short of operations, not
of arithmetic: all its matrices are small. With V = G^-1 = C C^T and

    F(z, rho) = d/dz (1/2 log det V - 1/2 rho^T V rho) = (1 / T^2) sum_i w_i q_i (c_i - z),
    q_i = tr((G - rho rho^T) M_i),

a momentum is drawn as C^-T gamma, and half a step h makes of z and a momentum z' and rho' by

    rho = momentum + h F(z, rho),              (1) implicit
    z' = z + h (V(z) + V(z')) rho,             (2) implicit
    rho' = rho + h F(z', rho).                 (3)

Gradients do not run through the iterations that solve (1) and (2). By the implicit function theorem a gradient g that
comes from behind a solution is replaced by the solution of x = g + J^T x, where J is the derivative of the equation's
right side, and goes on from there.

All functions take the metric twice: its terms, to which gradients go, and its values at z without gradients. They
can be differentiated once; a graph of their gradients raises a RuntimeError.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.linalg import solve_triangular

from monai_genaug.latent.metric import MetricAt, MetricTerms, outer_products

__all__ = ["leapfrog", "momentum_log_density", "standard_momentum"]

_FIXED_POINT_ITERATIONS = 3


def standard_momentum(z: Tensor, gamma: Tensor, terms: MetricTerms, at: MetricAt) -> tuple[Tensor, Tensor]:
    """C^-T gamma, which has covariance G where gamma is standard normal, and 1/2 log det G^-1.

    Args:
        z: codes ``(n, d)``.
        gamma: ``(n, d)``, a constant.
        terms: the metric.
        at: the metric at z, without gradients.

    Returns:
        Momenta ``(n, d)`` and log volumes ``(n,)``.
    """
    made: tuple[Tensor, Tensor] = _Draw.apply(z, terms.centroids, terms.products, gamma, at)
    return made


def leapfrog(
    z: Tensor, momentum: Tensor, terms: MetricTerms, at: MetricAt, half: float
) -> tuple[Tensor, Tensor, MetricAt]:
    """The step (1) to (3).

    Args:
        z: codes ``(n, d)``.
        momentum: ``(n, d)``.
        terms: the metric.
        at: the metric at z, without gradients.
        half: h.

    Returns:
        z' and rho', each ``(n, d)``, and the metric at z', without gradients.
    """
    made: tuple[Tensor, Tensor, MetricAt] = _Step.apply(z, momentum, terms.centroids, terms.products, at, half)
    return made


def momentum_log_density(z: Tensor, momentum: Tensor, terms: MetricTerms, at: MetricAt) -> Tensor:
    """Log N(rho; 0, G(z)) in nats, ``(n,)``; arguments as in :func:`leapfrog`."""
    made: Tensor = _Density.apply(z, momentum, terms.centroids, terms.products, at)
    return made


def _refuse_graph() -> None:
    if torch.is_grad_enabled():
        raise RuntimeError("a flow on the metric can be differentiated once, not with create_graph=True.")


class _Draw(Function):
    @staticmethod
    def forward(
        ctx: Any, z: Tensor, centroids: Tensor, products: Tensor, gamma: Tensor, at: MetricAt
    ) -> tuple[Tensor, Tensor]:
        ctx.at, ctx.gamma = at, gamma
        return solve_triangular(at.factor.mT, gamma[:, :, None], upper=True)[:, :, 0], at.log_volume.clone()

    @staticmethod
    def backward(ctx: Any, by_momentum: Tensor, by_log_volume: Tensor) -> tuple[Tensor | None, ...]:
        _refuse_graph()
        # dC = C L(C^-1 dV C^-T), where L takes the lower triangle and half of the diagonal, and d(C^-T gamma) =
        # -C^-T dC^T C^-T gamma: by V it is C^-T L(-gamma (C^-1 g)^T) C^-1. The log volume has C^-T C^-1 / 2.
        at, factor = ctx.at, ctx.at.factor
        inner = -ctx.gamma[:, :, None] * solve_triangular(factor, by_momentum[:, :, None], upper=False).mT
        inner = inner.tril()
        inner.diagonal(dim1=1, dim2=2).add_(by_log_volume[:, None]).mul_(0.5)
        by_inverse = solve_triangular(factor, solve_triangular(factor.mT, inner, upper=True), upper=False, left=False)
        adjoint = _Adjoint(at)
        adjoint.add_inverse(0.5 * (by_inverse + by_inverse.mT).flatten(1))
        return adjoint.by_z(), *adjoint.by_terms(), None, None


class _Step(Function):
    @staticmethod
    def forward(
        ctx: Any, z: Tensor, momentum: Tensor, centroids: Tensor, products: Tensor, start: MetricAt, half: float
    ) -> tuple[Tensor, Tensor, MetricAt]:
        rho = _solve(lambda rho: torch.add(momentum, start.force(rho), alpha=half), momentum)
        drifted, end = torch.add(z, start.velocity(rho), alpha=half), start
        for _ in range(_FIXED_POINT_ITERATIONS):
            end = MetricAt(torch.add(drifted, end.velocity(rho), alpha=half), start.terms)
        ctx.start, ctx.end, ctx.rho, ctx.half = start, end, rho, half
        return end.z.clone(), torch.add(rho, end.force(rho), alpha=half), end

    @staticmethod
    def backward(ctx: Any, by_z: Tensor, by_rho: Tensor, _: None) -> tuple[Tensor | None, ...]:
        _refuse_graph()
        rho, half = ctx.rho, ctx.half
        start, end = _Adjoint(ctx.start), _Adjoint(ctx.end)
        # (3)
        by_rho = by_rho + end.add_force(rho, half * by_rho)
        # (2)
        given = by_z + end.by_z()
        by_z = _solve(lambda g: torch.add(given, end.velocity_by_z(rho, g), alpha=half), given)
        by_rho = by_rho + end.add_velocity(rho, half * by_z) + start.add_velocity(rho, half * by_z)
        # (1)
        by_momentum = _solve(lambda g: torch.add(by_rho, start.force_by_momentum(rho, g), alpha=half), by_rho)
        start.add_force(rho, half * by_momentum)
        by_terms = (a + b for a, b in zip(start.by_terms(), end.by_terms(), strict=True))
        return by_z + start.by_z(), by_momentum, *by_terms, None, None


def _solve(right_side: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """The fixed point of a contraction, from x on."""
    for _ in range(_FIXED_POINT_ITERATIONS):
        x = right_side(x)
    return x


class _Density(Function):
    @staticmethod
    def forward(ctx: Any, z: Tensor, momentum: Tensor, centroids: Tensor, products: Tensor, at: MetricAt) -> Tensor:
        velocity = at.velocity(momentum)
        ctx.at, ctx.momentum, ctx.velocity = at, momentum, velocity
        squared = (momentum * velocity).sum(dim=1)
        return at.log_volume - 0.5 * (squared + z.shape[1] * math.log(2.0 * math.pi))

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
        _refuse_graph()
        adjoint = _Adjoint(ctx.at)
        adjoint.add_density(ctx.momentum, g)
        return adjoint.by_z(), ctx.velocity * -g[:, None], *adjoint.by_terms(), None


class _Adjoint:
    """Gradients of functions of the metric at a point, added up for all that are given.

    With s_i = <g, c_i - z> / T^2 and S = sum_i w_i s_i M_i those of <g, F> are w_i s_i q_i by log w_i, -2 S rho by rho,
    w_i s_i (G - rho rho^T) by M_i and -G S G by V; that of <g, V rho> by V is g rho^T. A gradient B by V is
    w_i <B, M_i> by log w_i and w_i B by M_i; that of log w_i by z, or by -c_i, is 2 (c_i - z) / T^2.
    """

    def __init__(self, at: MetricAt) -> None:
        self._at, self._terms = at, at.terms
        self._by_log_weights = torch.zeros_like(at.weights)
        self._by_z = torch.zeros_like(at.z)  # this and the next: besides what goes through the weights
        self._by_centroids = torch.zeros_like(at.terms.centroids)
        self._by_products = torch.zeros_like(at.terms.products)

    def force_by_momentum(self, rho: Tensor, g: Tensor) -> Tensor:
        """That of <g, F> by rho."""
        return _times(self._slopes(g) @ self._terms.products, rho)

    def velocity_by_z(self, rho: Tensor, g: Tensor) -> Tensor:
        """That of <g, V rho> by z."""
        return self._through_weights(self._at.weights * (outer_products(g, rho) @ self._terms.products.T))

    def add_velocity(self, rho: Tensor, g: Tensor) -> Tensor:
        """Adds those of <g, V rho> and returns that by rho."""
        self.add_inverse(outer_products(g, rho))
        return self._at.velocity(g)

    def add_force(self, rho: Tensor, g: Tensor) -> Tensor:
        """Adds those of <g, F> and returns that by rho."""
        metric, energies = self._at.metric, self._at.energies(rho)  # G, q
        slopes = self._slopes(g)
        sums = slopes @ self._terms.products  # S
        self._by_log_weights.addcmul_(slopes, energies)
        self._by_products.addmm_(slopes.T, metric.flatten(1) - outer_products(rho, rho))
        self.add_inverse((metric @ sums.view_as(metric) @ metric).neg_().flatten(1))
        energies = energies.mul_(self._at.weights)
        scaled = g * self._terms.pulls[0, -1]
        self._by_centroids.addmm_(energies.T, scaled)
        self._by_z.addcmul_(energies.sum(dim=1, keepdim=True), scaled, value=-1)
        return _times(sums, rho)

    def add_density(self, rho: Tensor, g: Tensor) -> None:
        """Adds those of <g, log N(rho; 0, G)>, which are G - rho rho^T by V, halved, as F says."""
        self.add_inverse((self._at.metric.flatten(1) - outer_products(rho, rho)).mul_(0.5 * g[:, None]))

    def add_inverse(self, by_inverse: Tensor) -> None:
        """Adds those of what has this gradient by V, ``(n, d*d)``."""
        self._by_log_weights.addcmul_(self._at.weights, by_inverse @ self._terms.products.T)
        self._by_products.addmm_(self._at.weights.T, by_inverse)

    def by_z(self) -> Tensor:
        """Sum of those by z."""
        return self._by_z + self._through_weights(self._by_log_weights)

    def by_terms(self) -> tuple[Tensor, Tensor]:
        """Sums of those by centroids ``(N, d)`` and by products ``(N, d*d)``."""
        of_all = self._by_log_weights.sum(dim=0)[:, None]
        through_weights = torch.addcmul(self._by_log_weights.T @ self._at.z, of_all, self._terms.centroids, value=-1)
        through_weights.mul_(2.0 * self._terms.pulls[0, -1])
        return self._by_centroids + through_weights, self._by_products

    def _slopes(self, g: Tensor) -> Tensor:
        """w_i s_i, ``(n, N)``."""
        along_z = (g * self._at.z).sum(dim=1, keepdim=True)
        return (torch.cat([g, along_z.neg_()], dim=1) @ self._terms.pulls.T).mul_(self._at.weights)

    def _through_weights(self, by_log_weights: Tensor) -> Tensor:
        """By z, from the gradients by log w_i ``(n, N)``."""
        pulled, dim = by_log_weights @ self._terms.pulls, self._at.z.shape[1]
        return torch.addcmul(pulled[:, :dim], pulled[:, dim:], self._at.z, value=-1).mul_(2.0)


def _times(sums: Tensor, rho: Tensor) -> Tensor:
    """-2 S rho of symmetric S ``(n, d*d)``."""
    dim = rho.shape[1]
    return torch.bmm(sums.view(-1, dim, dim), rho[:, :, None]).squeeze(2).mul_(-2.0)
