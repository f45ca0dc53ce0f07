# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest
import torch

from monai_genaug.latent.draws import standard_normal
from monai_genaug.latent.metric import MetricTerms, pack_products
from monai_genaug.latent.volume_element import VolumeElement


def random_terms(d: int, n: int = 15, dtype: torch.dtype = torch.float64) -> MetricTerms:
    factors = (0.4 * standard_normal(range(n), d * d, stream=2).view(n, d, d)).tril() + torch.eye(d)
    return MetricTerms(
        standard_normal(range(n), d).to(dtype), pack_products(factors).to(dtype), torch.tensor(1.3, dtype=dtype), 0.02
    )


def points(d: int, n: int = 9) -> torch.Tensor:
    return 1.2 * standard_normal(range(100, 100 + n), d)


def dense_log_volume(z: torch.Tensor, terms: MetricTerms) -> torch.Tensor:
    """By the definition, with every matrix written out."""
    d = z.shape[1]
    weights = torch.exp(-(z[:, None] - terms.centroids).square().sum(dim=2) / terms.temperature**2)
    inverse = torch.einsum("nk,kij->nij", weights, terms.products.view(-1, d, d))
    return 0.5 * torch.linalg.slogdet(inverse + terms.regularization * torch.eye(d, dtype=z.dtype)).logabsdet


@pytest.mark.parametrize("d", [1, 2, 10, 24])
def test_value_and_force_against_the_definition_and_autograd(d: int) -> None:
    terms, z = random_terms(d), points(d).requires_grad_()
    expected = dense_log_volume(z, terms)
    (gradient,) = torch.autograd.grad(expected.sum(), z)
    value, force = VolumeElement(terms).evaluate(z.detach())
    torch.testing.assert_close(value, expected.detach(), rtol=1e-11, atol=1e-11)
    torch.testing.assert_close(force, gradient, rtol=1e-10, atol=1e-11)


def test_float32_is_near_float64() -> None:
    z = points(10)
    value, force = VolumeElement(random_terms(10)).evaluate(z)
    value32, force32 = VolumeElement(random_terms(10, dtype=torch.float32)).evaluate(z.float())
    assert value32.dtype == force32.dtype == torch.float32
    torch.testing.assert_close(value32.double(), value, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(force32.double(), force, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("d", [1, 6])
def test_nearest_squared_distance(d: int) -> None:
    terms, z = random_terms(d), points(d)
    expected = np.min(((z.numpy()[:, None] - terms.centroids.numpy()) ** 2).sum(axis=2), axis=1)
    np.testing.assert_allclose(VolumeElement(terms).nearest_squared(z), expected, rtol=1e-11, atol=1e-12)
    at_centroids = VolumeElement(terms).nearest_squared(terms.centroids)
    assert (at_centroids >= 0).all()
    assert (at_centroids < 1e-13).all()


def test_far_from_all_centroids_the_volume_is_that_of_lambda() -> None:
    value, force = VolumeElement(random_terms(3)).evaluate(torch.full((1, 3), 1e3, dtype=torch.float64))
    assert float(value) == pytest.approx(1.5 * np.log(0.02))
    assert torch.equal(force, torch.zeros(1, 3, dtype=torch.float64))


def test_evaluating_changes_nothing() -> None:
    terms, z = random_terms(4), points(4)
    before, volume = z.clone(), VolumeElement(terms)
    first, second = volume.evaluate(z), volume.evaluate(z)
    assert torch.equal(z, before)
    assert torch.equal(first[0], second[0])
    assert torch.equal(first[1], second[1])
