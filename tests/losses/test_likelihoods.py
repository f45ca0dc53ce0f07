# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Against torch.distributions and torch's losses, in float64."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.distributions import Bernoulli, Normal, kl_divergence
from torch.nn import functional

from monai_genaug.losses import (
    bernoulli_log_likelihood,
    categorical_log_likelihood,
    diagonal_gaussian_log_density,
    gaussian_log_likelihood,
    standard_normal_kl,
)

SHAPE = (3, 2, 4, 5, 2)


def values(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def observed(channels: int) -> Tensor:
    return (values(SHAPE[0], channels, *SHAPE[2:], seed=9) > 0.3).double()


@pytest.mark.parametrize("mask", [None, observed(1), observed(2)], ids=["all", "padded", "padded per channel"])
def test_gaussian(mask: Tensor | None) -> None:
    x, mean, log_variance = values(*SHAPE), values(*SHAPE, seed=1), torch.tensor([-1.0, 0.5], dtype=torch.float64)
    scale = torch.exp(0.5 * log_variance).view(-1, 1, 1, 1)
    expected = Normal(mean, scale).log_prob(x) * (1.0 if mask is None else mask)
    torch.testing.assert_close(gaussian_log_likelihood(x, mean, log_variance, mask), expected.flatten(1).sum(dim=1))


@pytest.mark.parametrize("mask", [None, observed(1)], ids=["all", "padded"])
def test_bernoulli(mask: Tensor | None) -> None:
    x, mean = values(*SHAPE).round(), values(*SHAPE, seed=1)
    expected = Bernoulli(mean).log_prob(x) * (1.0 if mask is None else mask)
    torch.testing.assert_close(bernoulli_log_likelihood(x, mean, mask), expected.flatten(1).sum(dim=1))


def test_bernoulli_is_finite_at_the_ends() -> None:
    assert bernoulli_log_likelihood(torch.ones(1, 1, 2, 2), torch.zeros(1, 1, 2, 2)).isfinite().all()


def test_categorical() -> None:
    logits, labels = values(3, 4, 5, 2), (values(3, 5, 2, seed=1) * 4).long()
    one_hot = functional.one_hot(labels, 4).movedim(-1, 1).double()
    expected = -functional.cross_entropy(logits, labels, reduction="none").flatten(1).sum(dim=1)
    torch.testing.assert_close(categorical_log_likelihood(one_hot, logits), expected)


def test_densities_of_codes() -> None:
    z, mean, log_variance = values(5, 3), values(5, 3, seed=1), values(5, 3, seed=2)
    normal = Normal(mean, torch.exp(0.5 * log_variance))
    expected = normal.log_prob(z).sum(dim=1)
    torch.testing.assert_close(diagonal_gaussian_log_density(z, mean, log_variance), expected)
    expected = kl_divergence(normal, Normal(0.0, torch.ones_like(mean))).sum(dim=1)
    torch.testing.assert_close(standard_normal_kl(mean, log_variance), expected)
