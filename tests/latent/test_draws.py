# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from monai_genaug.latent.draws import standard_normal, uniform

seed_lists = st.lists(st.integers(0, 2**63 - 1), min_size=1, max_size=8)


@settings(max_examples=30)
@given(seeds=seed_lists, size=st.integers(0, 9), stream=st.integers(0, 2**64 - 1))
def test_row_depends_on_its_seed_alone(seeds: list[int], size: int, stream: int) -> None:
    together = standard_normal(seeds, size, stream)
    assert together.shape == (len(seeds), size)
    assert together.dtype == torch.float64
    for row, seed in zip(together, seeds, strict=True):
        assert torch.equal(row, standard_normal([seed], size, stream)[0])
    assert torch.equal(together.flip(0), standard_normal(seeds[::-1], size, stream))


def test_words_are_philox_with_the_seed_and_stream_as_key() -> None:
    philox = np.random.Philox(key=np.array([2**63 - 1, 7], dtype=np.uint64))
    expected = ((philox.random_raw(10) >> np.uint64(12)).astype(np.float64) + 0.5) * 2.0**-52
    np.testing.assert_array_equal(uniform([2**63 - 1], 10, stream=7)[0].numpy(), expected)


def test_golden_values() -> None:
    expected = [0.6241819657849791, 0.22888447061606657, -0.8140472532490435]
    assert standard_normal([5], 3)[0].tolist() == pytest.approx(expected, rel=1e-12)


def test_longer_row_starts_with_the_shorter_one() -> None:
    assert torch.equal(uniform([3, 4], 11)[:, :6], uniform([3, 4], 6))


def test_seeds_that_agree_in_their_low_32_bits_differ() -> None:
    a, b = uniform([5, 5 + 2**32], 8)
    assert not torch.isclose(a, b).any()


def test_neighbouring_seeds_and_streams_are_uncorrelated() -> None:
    rows = torch.cat([standard_normal(range(40), 1000), standard_normal(range(40), 1000, stream=1)])
    correlation = torch.corrcoef(rows)
    off_diagonal = correlation[~torch.eye(80, dtype=torch.bool)]
    assert off_diagonal.abs().max() < 5.0 / 1000**0.5
    assert off_diagonal.std() == pytest.approx(1000**-0.5, rel=0.1)


def test_normal_within_and_across_seeds() -> None:
    table = standard_normal(range(1000, 21000), 4)
    assert stats.kstest(table.flatten().numpy(), "norm").pvalue > 0.01
    assert stats.kstest(table[:, 0].numpy(), "norm").pvalue > 0.01


def test_uniform_stays_inside_the_open_interval() -> None:
    table = uniform(range(2000), 100)
    assert 0.0 < table.min() < 1e-4
    assert 1.0 - 1e-4 < table.max() < 1.0


def test_no_seeds_give_an_empty_table() -> None:
    assert standard_normal([], 3).shape == (0, 3)


@pytest.mark.parametrize("seed", [-1, 2**63])
def test_seed_out_of_range(seed: int) -> None:
    with pytest.raises(ValueError, match=rf"\[0, 2\^63\), got {seed}"):
        uniform([1, seed], 2)


def test_size_and_stream_out_of_range() -> None:
    with pytest.raises(ValueError, match="size must be >= 0, got -1"):
        uniform([1], -1)
    with pytest.raises(ValueError, match="stream must be in"):
        uniform([1], 2, stream=2**64)
