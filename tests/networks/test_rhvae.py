# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from monai_genaug.latent.metric import MetricAt, MetricTerms
from monai_genaug.losses import diagonal_gaussian_log_density
from monai_genaug.networks import RHVAE

D = 2


class PerItem(RHVAE):
    """Keeps the parts of the bound of every item."""

    def _terms(self, image: Tensor, mask: Tensor, kl: Tensor) -> dict[str, Tensor]:
        self.parts = image, mask, kl
        return super()._terms(image, mask, kl)


def linear(**changes: Any) -> tuple[PerItem, Tensor, Tensor]:
    """A network in float64 whose decoder is linear, an image, and log p of it."""
    arguments: dict[str, Any] = {"latent_dim": D, "channels": (4,), "temperature": 1.0, **changes}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = PerItem(2, (4, 4), **arguments).double()
    network.metric_factor.float()  # its input is float32 in any case
    generator = torch.Generator().manual_seed(1)
    weight = 0.3 * torch.randn(16, D, generator=generator, dtype=torch.float64)
    network.decoded_mean = lambda z: 0.5 + (z.double() @ weight.T).view(-1, 1, 4, 4)  # type: ignore[method-assign]
    with torch.no_grad():
        network.log_variance.fill_(math.log(0.25))
    x = torch.rand(1, 1, 4, 4, generator=generator, dtype=torch.float64)
    covariance = weight @ weight.T + 0.25 * torch.eye(16, dtype=torch.float64)
    law = torch.distributions.MultivariateNormal(torch.full((16,), 0.5, dtype=torch.float64), covariance)
    return network, x, law.log_prob(x.flatten())


def some_metric() -> MetricTerms:
    generator = torch.Generator().manual_seed(3)
    factors = torch.randn(3, D, D, generator=generator, dtype=torch.float64).tril()
    products = (factors @ factors.transpose(1, 2)).flatten(1)
    centroids = 0.5 * torch.randn(3, D, generator=generator, dtype=torch.float64)
    return MetricTerms(centroids, products, torch.tensor(1.0).double(), torch.tensor(0.1).double())


POINT = torch.tensor([[0.3, -0.2]], dtype=torch.float64)
MOMENTUM = torch.tensor([[-0.4, 0.7]], dtype=torch.float64)


def test_force_is_the_gradient_of_the_joint_log_density() -> None:
    network, x, _ = linear()
    z = POINT.clone().requires_grad_()
    joint = network.log_likelihood(x, z)[0] + torch.distributions.Normal(0, 1).log_prob(z).sum(dim=1)
    (expected,) = torch.autograd.grad(joint.sum(), z)
    torch.testing.assert_close(network._force(x, None, POINT)[0].detach(), expected)
    network.max_force = 0.5
    clipped = network._force(x, None, POINT)[0].detach()
    torch.testing.assert_close(clipped, 0.5 * expected / expected.norm())


@pytest.mark.parametrize("n_leapfrog", [1, 3])
def test_flow_is_reversible(n_leapfrog: int) -> None:
    network, x, _ = linear(n_leapfrog=n_leapfrog, leapfrog_step=0.01, beta_zero=1.0)
    metric = some_metric()
    with torch.no_grad():
        z, momentum, at, _, _ = network._flow(x, None, POINT, MOMENTUM, metric, MetricAt(POINT, metric))
        back, turned, _, _, _ = network._flow(x, None, z, -momentum, metric, at)
    assert (z - POINT).norm() > 1e-3
    torch.testing.assert_close(back, POINT, rtol=0, atol=1e-6)
    torch.testing.assert_close(-turned, MOMENTUM, rtol=0, atol=1e-6)


@pytest.mark.parametrize("beta_zero", [1.0, 0.3])
def test_flow_changes_volume_by_the_tempering_alone(beta_zero: float) -> None:
    network, x, _ = linear(n_leapfrog=2, leapfrog_step=0.02, beta_zero=beta_zero)
    metric = some_metric()

    def flow(state: Tensor) -> Tensor:
        at = MetricAt(state[None, :D].detach(), metric)
        z, momentum, _, _, _ = network._flow(x, None, state[None, :D], state[None, D:], metric, at)
        return torch.cat([z[0], momentum[0]])

    jacobian = torch.autograd.functional.jacobian(flow, torch.cat([POINT[0], MOMENTUM[0]]))
    assert torch.linalg.slogdet(jacobian).logabsdet.item() == pytest.approx(0.5 * D * math.log(beta_zero), abs=1e-5)


@pytest.mark.parametrize("name", ["to_posterior.weight", "log_variance", "metric_factor.body.0.weight"])
def test_gradient_of_the_bound_is_that_of_finite_differences(name: str) -> None:
    network, x, _ = linear(n_leapfrog=2, leapfrog_step=0.02)
    images = torch.cat([x, x.flip(2), 1.0 - x])
    parameter = network.get_parameter(name)
    direction = torch.randn(parameter.shape, generator=torch.Generator().manual_seed(2), dtype=parameter.dtype)

    def bound() -> Tensor:
        return network.elbo(images, generator=torch.Generator().manual_seed(0))["loss"]

    (gradient,) = torch.autograd.grad(bound(), parameter)
    values = []
    with torch.no_grad():
        for shift in (0.02, -0.04):
            parameter.add_(direction, alpha=shift)
            values.append(bound().item())
    expected = (values[0] - values[1]) / 0.04
    assert float((gradient * direction).sum()) == pytest.approx(expected, rel=0.02)  # codes are float32


def test_momentum_cancels_where_nothing_moves() -> None:
    network, x, _ = linear(leapfrog_step=1e-12)
    many = x.expand(4, -1, -1, -1)
    kl = network.elbo(many, generator=torch.Generator().manual_seed(0))["kl"]
    mean, log_variance = network.posterior(many)
    noise = torch.randn(mean.shape, generator=torch.Generator().manual_seed(0))
    z = mean + torch.exp(0.5 * log_variance) * noise
    prior = torch.distributions.Normal(0, 1).log_prob(z).sum(dim=1)
    expected = (diagonal_gaussian_log_density(z, mean, log_variance) - prior).mean()
    assert float(kl) == pytest.approx(float(expected), abs=1e-4)


@pytest.mark.parametrize(("n_leapfrog", "beta_zero"), [(1, 0.3), (3, 0.5)])
def test_exp_of_the_bound_has_mean_p_of_x(n_leapfrog: int, beta_zero: float) -> None:
    """Holds for any flow only if every density is the right one: a missing entropy or a wrong covariance shows."""
    network, x, log_p = linear(n_leapfrog=n_leapfrog, leapfrog_step=0.02, beta_zero=beta_zero)
    generator = torch.Generator().manual_seed(5)
    logs, bounds = [], []
    for _ in range(60):
        with torch.no_grad():
            network.elbo(x.expand(64, -1, -1, -1), generator=generator)
        image, _, kl = network.parts
        logs.append((image - kl).double())
        bounds.append(float((image - kl).mean()))
    draws = torch.cat(logs)
    estimate = torch.logsumexp(draws, 0) - math.log(len(draws))
    spread = float((draws - estimate).exp().std()) / math.sqrt(len(draws))
    assert spread < 0.1
    assert float(estimate) == pytest.approx(float(log_p), abs=4 * spread + 1e-3)
    assert sum(bounds) / len(bounds) < float(log_p)


@pytest.mark.parametrize("second_order", [True, False])
@pytest.mark.parametrize("spatial_dims", [2, 3])
def test_trains_with_masks_in_2d_and_3d(spatial_dims: int, second_order: bool) -> None:
    shape = (8,) * spatial_dims
    network = RHVAE(spatial_dims, shape, 1, 3, latent_dim=3, channels=(4, 4), second_order=second_order)
    x = network.join(torch.rand(4, 1, *shape), torch.randint(0, 3, (4, 1, *shape)))
    network.elbo(x, generator=torch.Generator().manual_seed(0))["loss"].backward()
    missing = [name for name, parameter in network.named_parameters() if parameter.grad is None]
    assert not missing
    assert all(parameter.grad.isfinite().all() for parameter in network.parameters())


def test_bernoulli_likelihood() -> None:
    network = RHVAE(2, (8, 8), latent_dim=2, channels=(4, 4), likelihood="bernoulli")
    x = (torch.rand(4, 1, 8, 8) > 0.5).float()
    terms = network.elbo(x, generator=torch.Generator().manual_seed(0))
    assert float(terms["image"]) == pytest.approx(64 * math.log(2), rel=0.2)


@pytest.mark.parametrize("seed", range(5))
def test_training_in_3d_does_not_diverge(seed: int) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = RHVAE(3, (16, 16, 16), latent_dim=8, channels=(8, 8), n_leapfrog=3, leapfrog_step=0.01)
    generator = torch.Generator().manual_seed(seed)
    x = torch.rand(8, 1, 16, 16, 16, generator=generator)
    optimizer = torch.optim.Adam(network.parameters(), lr=3e-3)
    losses = []
    for _ in range(40):
        terms = network.elbo(x, generator=generator)
        optimizer.zero_grad()
        terms["loss"].backward()
        optimizer.step()
        losses.append(float(terms["loss"]))
    assert all(math.isfinite(loss) for loss in losses)
    assert max(losses[20:]) < losses[0]
    assert abs(float(terms["kl"])) < 100.0


def test_state_dict_restores_sampling() -> None:
    arguments: dict[str, Any] = {"latent_dim": 2, "channels": (4, 4), "temperature": 0.7, "regularization": 0.02}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = RHVAE(2, (8, 8), **arguments)
    generator = torch.Generator().manual_seed(0)
    network.fit_generation(
        [torch.rand(6, 1, 8, 8, generator=generator)] * 1, [torch.rand(4, 1, 8, 8, generator=generator)]
    )
    other = RHVAE(2, (8, 8), **{**arguments, "temperature": 5.0, "regularization": 1.0})
    other.load_state_dict(network.state_dict())
    seeds = range(6)
    assert torch.equal(other.latent.sample(seeds), network.latent.sample(seeds))
    assert float(other.temperature) == pytest.approx(0.7)
    assert len(other.latent.metric.centroids) == 6


@pytest.mark.parametrize(
    ("name", "value"), [("beta_zero", 0.0), ("n_leapfrog", 0), ("leapfrog_step", -1.0), ("max_force", 0.0)]
)
def test_bad_arguments(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=name):
        RHVAE(2, (8, 8), channels=(4, 4), **{name: value})
