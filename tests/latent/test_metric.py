# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import Tensor

from monai_genaug.latent import RiemannianMetric
from monai_genaug.latent.draws import standard_normal
from monai_genaug.latent.metric import (
    MetricAt,
    MetricTerms,
    pack_products,
    stable_cholesky,
)

DIMENSIONS = [1, 2, 10]


def random_factors(n: int, d: int) -> Tensor:
    values = 0.5 * standard_normal(range(n), d * d, stream=1).view(n, d, d)
    return values.tril(-1) + torch.diag_embed(values.diagonal(dim1=1, dim2=2).exp())


def random_terms(d: int, n: int = 12) -> MetricTerms:
    return MetricTerms(standard_normal(range(n), d), pack_products(random_factors(n, d)), 1.3, 0.01)


def points(d: int, n: int = 7) -> Tensor:
    return standard_normal(range(100, 100 + n), d)


@pytest.mark.parametrize("d", DIMENSIONS)
def test_inverse_metric_is_the_papers_sum(d: int) -> None:
    centroids, factors, z = standard_normal(range(12), d), random_factors(12, d), points(d)
    expected = 0.01 * torch.eye(d, dtype=torch.float64).repeat(7, 1, 1)
    for centroid, factor in zip(centroids, factors, strict=True):
        weight = torch.exp(-(z - centroid).square().sum(dim=1) / 1.3**2)
        expected = expected + weight[:, None, None] * (factor @ factor.T)
    torch.testing.assert_close(MetricAt(z, random_terms(d)).inverse, expected, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(MetricAt(z, random_terms(d)).log_volume, 0.5 * torch.linalg.slogdet(expected).logabsdet)


@pytest.mark.parametrize("at_rest", [True, False])
@pytest.mark.parametrize("d", DIMENSIONS)
def test_force_is_the_gradient_of_log_volume_less_kinetic_energy(d: int, at_rest: bool) -> None:
    z, terms = points(d).requires_grad_(), random_terms(d)
    momentum = torch.zeros(7, d, dtype=torch.float64) if at_rest else standard_normal(range(7), d, stream=2)
    dense = MetricAt(z, terms).inverse
    volume = 0.5 * torch.linalg.slogdet(dense).logabsdet
    kinetic = 0.5 * torch.einsum("ni,nij,nj->n", momentum, dense, momentum)
    (gradient,) = torch.autograd.grad((volume - kinetic).sum(), z)
    at = MetricAt(z, terms)
    torch.testing.assert_close(at.log_volume, volume)
    assert (at.force(momentum) - gradient).abs().max() < 1e-9 * gradient.abs().max()


def test_everything_is_differentiable_in_codes_centroids_and_factors() -> None:
    d = 2
    inputs = [tensor.requires_grad_() for tensor in (points(d, 3), standard_normal(range(4), d), random_factors(4, d))]
    momentum = points(d, 3)

    def forces(z: Tensor, centroids: Tensor, factors: Tensor) -> tuple[Tensor, Tensor]:
        at = MetricAt(z, MetricTerms(centroids, pack_products(factors), 1.3, 0.01))
        return at.log_volume, at.force(momentum)

    assert torch.autograd.gradcheck(forces, inputs)


def test_float32_follows_float64() -> None:
    terms, z = random_terms(10), points(10)
    at = MetricAt(z, terms)
    value, force = at.log_volume, at.force(0.1 * z)
    at32 = MetricAt(z.float(), MetricTerms(terms.centroids.float(), terms.products.float(), 1.3, 0.01))
    torch.testing.assert_close(at32.log_volume.double(), value, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(at32.force(0.1 * z.float()).double(), force, rtol=1e-3, atol=1e-3)


def test_autocast_does_not_reach_the_metric() -> None:
    exact, z = random_terms(10), points(10).float()
    terms = MetricTerms(exact.centroids.float(), exact.products.float(), 1.3, 0.01)

    def values() -> tuple[Tensor, ...]:
        at, products = MetricAt(z, terms), pack_products(random_factors(3, 10).float())
        return at.log_volume, at.force(z), at.velocity(z), products

    plain = values()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        cast = values()
    assert all(torch.equal(a, b) for a, b in zip(plain, cast, strict=True))


@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e12])
def test_no_overflow_in_many_dimensions(scale: float) -> None:
    d, n = 32, 200
    terms = MetricTerms(standard_normal(range(n), d), scale * pack_products(random_factors(n, d)), 1.5, 1e-3 * scale)
    at = MetricAt(torch.cat([points(d, 20), terms.centroids[:5]]), terms)
    assert at.log_volume.isfinite().all()
    assert at.force(torch.zeros_like(at.z)).isfinite().all()


def test_far_from_all_centroids_the_density_is_flat() -> None:
    at = MetricAt(torch.full((1, 3), 1e6, dtype=torch.float64), random_terms(3))
    assert float(at.log_volume) == pytest.approx(1.5 * torch.tensor(0.01).log().item())
    assert not at.force(torch.ones_like(at.z)).any()


def test_cholesky_of_a_semidefinite_matrix_leaves_the_others_alone() -> None:
    direction = points(4, 1)
    singular, regular = direction.T @ direction, 2.0 * torch.eye(4, dtype=torch.float64)
    factors = stable_cholesky(torch.stack([1e8 * singular, regular, 1e-8 * singular]))
    assert factors.isfinite().all()
    assert torch.equal(factors[1], torch.linalg.cholesky(regular))
    torch.testing.assert_close(factors[0] @ factors[0].T, 1e8 * singular, rtol=1e-6, atol=1.0)


@pytest.mark.parametrize("value", [float("nan"), -1.0])
def test_cholesky_refuses_what_is_no_metric(value: float) -> None:
    with pytest.raises(RuntimeError, match="1 of 2 inverse metrics"):
        stable_cholesky(torch.stack([torch.eye(2), torch.diag(torch.tensor([1.0, value]))]))


def test_module_gives_the_metric_in_the_precision_of_the_codes() -> None:
    metric, z = RiemannianMetric(2, temperature=1.3, regularization=0.01), points(2)
    metric.fit(standard_normal(range(5), 2), random_factors(5, 2))
    assert metric.factors.shape == (5, 2, 2)
    assert metric.factors.dtype == torch.float32
    assert torch.equal(metric.at(z).inverse, MetricAt(z, metric.terms()).inverse)
    assert metric.at(z.float()).inverse.dtype == torch.float32


@pytest.mark.parametrize("d", DIMENSIONS)
def test_velocity_is_the_gradient_of_the_kinetic_energy_in_the_momentum(d: int) -> None:
    at, momentum = MetricAt(points(d), random_terms(d)), points(d).flip(0).requires_grad_()
    energy = 0.5 * torch.einsum("ni,nij,nj->n", momentum, at.inverse, momentum)
    (gradient,) = torch.autograd.grad(energy.sum(), momentum)
    torch.testing.assert_close(at.velocity(momentum.detach()), gradient, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize(
    ("centroids", "factors", "message"),
    [
        (torch.zeros(4, 3), torch.zeros(4, 3, 3), r"centroids must have shape \(n >= 1, 2\)"),
        (torch.zeros(4, 2), torch.zeros(5, 2, 2), r"factors must have shape \(4, 2, 2\), got \(5, 2, 2\)"),
        (torch.zeros(4, 2), torch.full((4, 2, 2), torch.inf), "factors must be finite"),
        (torch.full((4, 2), torch.nan), torch.zeros(4, 2, 2), "centroids must be finite"),
    ],
)
def test_bad_fit_changes_nothing(centroids: Tensor, factors: Tensor, message: str) -> None:
    metric = RiemannianMetric(2)
    with pytest.raises(ValueError, match=message):
        metric.fit(centroids, factors)
    assert len(metric.centroids) == len(metric.factors) == 0


def test_bad_constants() -> None:
    build = partial(RiemannianMetric, 2)
    with pytest.raises(ValueError, match="temperature must be > 0, got 0"):
        build(temperature=0.0)
    with pytest.raises(ValueError, match="regularization must be > 0, got -1"):
        build(regularization=-1.0)
