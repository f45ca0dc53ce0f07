# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import functools
import math

import numpy as np
import pytest
import torch
from scipy import stats
from torch.nn import functional

from monai_genaug.latent.draws import uniform
from monai_genaug.losses import gumbel_softmax_draw, linear_capacity, uniform_categorical_kl

LOGITS = torch.tensor([0.3, -1.0, 1.2, 0.0])
COUNT = 10_000


@functools.cache
def numbers() -> torch.Tensor:
    return uniform(range(COUNT), 4)


def draws(temperature: float) -> torch.Tensor:
    return gumbel_softmax_draw(LOGITS.double().expand(COUNT, 4), numbers(), temperature)


def test_kl_is_scipys_relative_entropy() -> None:
    logits = torch.tensor([[0.0, 0.0, 0.0], [4.0, -2.0, 1.0], [1.0, 1.0, 90.0]])
    q = functional.softmax(logits.double(), dim=1).numpy()
    expected = [stats.entropy(row, np.full(3, 1 / 3)) for row in q]
    torch.testing.assert_close(uniform_categorical_kl(logits), torch.tensor(expected).float(), rtol=1e-5, atol=1e-6)
    assert uniform_categorical_kl(logits)[0] == pytest.approx(0.0, abs=1e-7)
    assert uniform_categorical_kl(logits)[2] == pytest.approx(math.log(3.0))


def test_draw_is_the_formula() -> None:
    u = torch.tensor([[0.2, 0.7, 0.5, 0.9]])
    perturbed = (torch.log_softmax(LOGITS, 0).numpy() - np.log(-np.log(u.numpy()))) / 0.67
    expected = np.exp(perturbed) / np.exp(perturbed).sum()
    np.testing.assert_allclose(gumbel_softmax_draw(LOGITS[None], u, 0.67).numpy(), expected, rtol=1e-5)


@pytest.mark.parametrize("temperature", [0.3, 0.67, 2.0])
def test_draws_are_torchs_in_distribution(temperature: float) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        theirs = functional.gumbel_softmax(LOGITS.double().expand(COUNT, 4), temperature)
    ours = draws(temperature)
    torch.testing.assert_close(ours.sum(dim=1), torch.ones(COUNT).double())
    for category in range(4):
        assert stats.ks_2samp(ours[:, category], theirs[:, category]).pvalue > 0.01


@pytest.mark.parametrize("temperature", [0.1, 5.0])
def test_largest_entry_is_a_categorical_draw_at_any_temperature(temperature: float) -> None:
    counts = torch.bincount(draws(temperature).argmax(dim=1), minlength=4)
    expected = COUNT * functional.softmax(LOGITS.double(), dim=0)
    assert stats.chisquare(counts.numpy(), expected.numpy()).pvalue > 0.01


def test_low_temperatures_give_one_hot_draws() -> None:
    assert draws(1e-3).amax(dim=1).median() > 1.0 - 1e-9
    assert draws(2.0).amax(dim=1).median() < 0.7


def test_gradients_reach_the_logits() -> None:
    logits = LOGITS[None].double().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: gumbel_softmax_draw(x, uniform([1], 4), 0.67), logits)
    assert torch.autograd.gradcheck(uniform_categorical_kl, logits)


def test_capacity_grows_linearly_and_stays() -> None:
    found = [float(linear_capacity(torch.tensor(step), 25_000, 30.0)) for step in (0, 1, 12_500, 25_000, 90_000)]
    assert found == pytest.approx([0.0, 30.0 / 25_000, 15.0, 30.0, 30.0])
