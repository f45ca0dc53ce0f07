# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""The reference is PyTorch's gradient through the same equations, iterated until nothing changes."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.distributions import MultivariateNormal

from monai_genaug.latent.draws import standard_normal
from monai_genaug.latent.metric import MetricAt, MetricTerms, pack_products
from monai_genaug.latent.metric_flow import leapfrog, momentum_log_density, standard_momentum

HALF = 1e-4
"""Half a step of the flow: a fixed point is reached in three iterations."""


def inputs(d: int) -> list[Tensor]:
    """Codes, momenta, gamma, centroids and factors."""
    n, count = 5, 7
    factors = 0.5 * standard_normal(range(count), d * d, stream=1).view(count, d, d)
    drawn = [standard_normal(range(n), d, stream=k) for k in (2, 3, 4)]
    return [tensor.requires_grad_() for tensor in (*drawn, standard_normal(range(count), d), factors)]


def metric_of(centroids: Tensor, factors: Tensor) -> MetricTerms:
    return MetricTerms(centroids, pack_products(factors.tril()), 1.3, 0.05)


def start(z: Tensor, terms: MetricTerms) -> MetricAt:
    return MetricAt(z.detach(), terms.detached())


def ours(z: Tensor, momentum: Tensor, gamma: Tensor, centroids: Tensor, factors: Tensor) -> tuple[Tensor, ...]:
    """Drawn momentum, its log volume, and z, momentum and its log density after two steps."""
    terms = metric_of(centroids, factors)
    at = start(z, terms)
    drawn, log_volume = standard_momentum(z, gamma.detach(), terms, at)
    for _ in range(2):
        z, momentum, at = leapfrog(z, 1.1 * momentum, terms, at, HALF)
    return drawn, log_volume, z, momentum, momentum_log_density(z, momentum, terms, at)


def reference(z: Tensor, momentum: Tensor, gamma: Tensor, centroids: Tensor, factors: Tensor) -> tuple[Tensor, ...]:
    """The same by autograd."""
    at = MetricAt(z, metric_of(centroids, factors))
    drawn = torch.linalg.solve_triangular(at.factor.mT, gamma.detach()[:, :, None], upper=True)[:, :, 0]
    log_volume = 0.5 * torch.linalg.slogdet(at.inverse).logabsdet
    for _ in range(2):
        kicked = rho = 1.1 * momentum
        for _ in range(10):
            rho = kicked + HALF * at.force(rho)
        end = at
        for _ in range(10):
            end = MetricAt(at.z + HALF * (at.velocity(rho) + end.velocity(rho)), at.terms)
        at, momentum = end, rho + HALF * end.force(rho)
    law = MultivariateNormal(torch.zeros_like(momentum), precision_matrix=at.inverse)
    return drawn, log_volume, at.z, momentum, law.log_prob(momentum)


@pytest.mark.parametrize("d", [1, 2, 10])
@pytest.mark.parametrize("result", range(5))
def test_values_and_gradients_are_those_of_the_equations(d: int, result: int) -> None:
    given = inputs(d)
    made, expected = ours(*given)[result], reference(*given)[result]
    torch.testing.assert_close(made, expected, rtol=1e-10, atol=1e-10)
    weights = standard_normal(range(20, 25), made[0].numel(), stream=9).view_as(made)
    pairs = zip(
        torch.autograd.grad((weights * made).sum(), given, allow_unused=True),
        torch.autograd.grad((weights * expected).sum(), given, allow_unused=True),
        strict=True,
    )
    for gradient, other in pairs:
        assert (gradient is None) == (other is None)
        if gradient is not None and other is not None:
            torch.testing.assert_close(gradient, other, rtol=1e-9, atol=1e-9)


def test_a_drawn_momentum_has_the_covariance_of_the_metric() -> None:
    z, _, gamma, centroids, factors = inputs(3)
    terms = metric_of(centroids, factors)
    at = start(z, terms)
    drawn, _ = standard_momentum(z, gamma.detach(), terms, at)
    torch.testing.assert_close((drawn * at.velocity(drawn)).sum(dim=1), gamma.square().sum(dim=1))


def test_the_metric_at_the_end_is_the_next_start() -> None:
    z, momentum, _, centroids, factors = inputs(3)
    terms = metric_of(centroids, factors)
    moved, _, at = leapfrog(z, momentum, terms, start(z, terms), HALF)
    assert torch.equal(at.z, moved)
    assert not at.inverse.requires_grad
    torch.testing.assert_close(at.inverse, MetricAt(moved, terms).inverse)


def test_a_step_back_returns() -> None:
    z, momentum, _, centroids, factors = inputs(3)
    terms = metric_of(centroids, factors)
    moved, end, at = leapfrog(z, momentum, terms, start(z, terms), HALF)
    back, turned, _ = leapfrog(moved, -end, terms, at, HALF)
    torch.testing.assert_close(back, z, rtol=0, atol=1e-10)
    torch.testing.assert_close(turned, -momentum, rtol=0, atol=1e-10)


def test_a_second_derivative_is_refused() -> None:
    given = inputs(2)
    for result in ours(*given):
        with pytest.raises(RuntimeError, match="create_graph=True"):
            torch.autograd.grad(result.sum(), given[0], create_graph=True)


def test_float32_follows_float64() -> None:
    given = inputs(10)
    exact = torch.autograd.grad(ours(*given)[4].sum(), given[3])[0]
    single = [tensor.detach().float().requires_grad_() for tensor in given]
    rounded = torch.autograd.grad(ours(*single)[4].sum(), single[3])[0]
    assert rounded.dtype == torch.float32
    torch.testing.assert_close(rounded.double(), exact, rtol=1e-3, atol=1e-3)
