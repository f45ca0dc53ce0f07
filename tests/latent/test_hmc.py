# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Chains on densities that are known in closed form."""

from __future__ import annotations

import pytest
import torch
from scipy import stats
from torch import Tensor

from monai_genaug.latent.chain_tuning import tune_length, tune_step_size
from monai_genaug.latent.draws import uniform
from monai_genaug.latent.hmc import advance_chains, start_chains


class Normal:
    """Standard normal within [-limit, limit]^d, but for a factor."""

    def __init__(self, limit: float = torch.inf) -> None:
        self.limit = limit

    def evaluate(self, z: Tensor) -> tuple[Tensor, Tensor]:
        return -0.5 * z.square().sum(dim=1), -z

    def contains(self, z: Tensor) -> Tensor:
        return (z.abs() <= self.limit).all(dim=1)


def test_chains_reach_a_truncated_normal() -> None:
    target, seeds = Normal(limit=1.0), range(4000)
    state = advance_chains(
        start_chains(torch.full((4000, 1), 0.9).double(), target), target, seeds, range(1, 21), 0.4, 4
    )
    assert stats.kstest(state.position[:, 0].numpy(), stats.truncnorm(-1, 1).cdf).pvalue > 0.01


def test_a_coarse_step_is_corrected_by_rejections() -> None:
    target, seeds = Normal(), range(4000)
    state = advance_chains(start_chains(torch.zeros(4000, 1).double(), target), target, seeds, range(1, 41), 1.6, 3)
    assert 0.5 < float(state.accepted.double().mean()) / 40 < 0.9
    assert stats.kstest(state.position[:, 0].numpy(), "norm").pvalue > 0.01


def test_a_chain_is_the_same_in_parts_and_in_any_batch() -> None:
    target, seeds = Normal(), [3, 2**40, 8]
    start = start_chains(uniform(seeds, 2), target)
    whole = advance_chains(start, target, seeds, range(1, 9), 0.5, 3)
    half = advance_chains(start, target, seeds, range(1, 5), 0.5, 3)
    parts = advance_chains(half, target, seeds, range(5, 9), 0.5, 3)
    alone = advance_chains(start.take(torch.tensor([1])), target, seeds[1:2], range(1, 9), 0.5, 3)
    assert all(torch.equal(a, b) for a, b in zip(whole, parts, strict=True))
    torch.testing.assert_close(whole.position[1:2], alone.position, rtol=0, atol=1e-12)
    replaced = start.put(torch.tensor([1]), alone)
    assert torch.equal(replaced.position[1:2], alone.position)
    assert torch.equal(replaced.position[[0, 2]], start.position[[0, 2]])


def test_a_step_that_diverges_is_rejected() -> None:
    class Broken(Normal):
        def evaluate(self, z: Tensor) -> tuple[Tensor, Tensor]:
            return torch.full((len(z),), torch.nan, dtype=z.dtype), -z

    start = start_chains(torch.zeros(5, 2).double(), Normal())
    state = advance_chains(start, Broken(), range(5), range(1, 4), 0.1, 2)
    assert torch.equal(state.position, start.position)
    assert not state.accepted.any()


@pytest.mark.parametrize("limit", [1.0, torch.inf])
def test_step_size_reaches_the_acceptance(limit: float) -> None:
    target = Normal(limit)
    start = start_chains(torch.zeros(200, 4).double(), target)
    step_size = tune_step_size(start, target, range(200), n_leapfrog=3, scale=1.0)
    fresh = advance_chains(start, target, range(1000, 1200), range(1, 21), step_size, 3)
    assert 0.8 < float(fresh.accepted.double().mean()) / 20 < 0.9


def test_length_grows_with_the_distance_to_travel() -> None:
    target, seeds = Normal(), range(200)
    near = tune_length(start_chains(torch.zeros(200, 2).double(), target), target, seeds, 0.5, 5)
    start = start_chains(torch.full((200, 2), 10.0).double(), target)
    slow = tune_length(start, target, seeds, 0.25, 2)
    assert near == 5
    assert 20 <= slow <= 80
    with pytest.warns(RuntimeWarning, match="have not reached their stationary distribution"):
        assert tune_length(start, target, seeds, 0.002, 1) == 160
