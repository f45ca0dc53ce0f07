# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

from monai_genaug.quality.memorisation import copy_share, distance_ratio_test, rank_references


def table(count: int, seed: int, width: int = 4) -> Tensor:
    return torch.randn(count, width, generator=torch.Generator().manual_seed(seed))


def test_nearest_items_of_both_parts_are_found() -> None:
    samples, train, held_out = table(30, 0), table(50, 1), table(20, 2)
    ranked = rank_references(samples, train, held_out)
    to_train = torch.cdist(samples.double(), train.double()).min(dim=1)
    assert torch.allclose(ranked.to_train, to_train.values)
    assert torch.equal(ranked.nearest_train, to_train.indices)
    assert torch.allclose(ranked.to_held_out, torch.cdist(samples.double(), held_out.double()).amin(dim=1))


def test_few_of_many_references_are_kept() -> None:
    ranked = rank_references(table(3, 0), table(2000, 1), table(2000, 2))
    assert ranked.distances.shape[1] == 30  # 2^-30 < 1e-9


def test_p_value_is_that_of_all_permutations() -> None:
    samples, train, held_out = table(6, 0), table(4, 1) * 0.9, table(3, 2)
    found = distance_ratio_test([rank_references(samples, train, held_out)], n_permutations=4000, seed=1)
    distances = torch.cdist(samples.double(), torch.cat([train, held_out]).double())
    floor = 0.1 * float(distances.median())

    def statistic(chosen: tuple[int, ...]) -> float:
        is_train = torch.zeros(7, dtype=torch.bool)
        is_train[list(chosen)] = True
        near, far = distances[:, is_train].amin(dim=1), distances[:, ~is_train].amin(dim=1)
        return float(((far + floor) / (near + floor)).log().mean())

    every = np.array([statistic(chosen) for chosen in itertools.combinations(range(7), 4)])
    observed = statistic((0, 1, 2, 3))
    assert found.p_value == pytest.approx((every >= observed - 1e-9).mean(), abs=0.03)
    assert found.effect == pytest.approx(observed - every.mean(), abs=0.02)


def test_p_values_are_uniform_without_memorisation_whatever_the_numbers() -> None:
    values = [
        distance_ratio_test(
            [
                rank_references(0.3 * table(20, 3 * i), table(40, 3 * i + 1), table(10, 3 * i + 2)),
                rank_references(table(10, 7 * i + 1), table(5, 7 * i + 2), table(15, 7 * i + 3)),
            ],
            99,
            i,
        )
        for i in range(100)
    ]
    assert stats.kstest([one.p_value for one in values], "uniform").pvalue > 0.01
    assert np.mean([one.interval[0] <= 0 <= one.interval[1] for one in values]) > 0.85
    assert np.mean([one.share_nearer - one.expected_share for one in values]) == pytest.approx(0, abs=0.05)


def test_subjects_are_permuted_as_a_whole() -> None:
    # five items of each subject: items alone would look like strong evidence
    p_values = []
    for i in range(60):
        centres = table(12, i, 3) * 3
        found = (centres[:, None] + 0.1 * table(60, i + 1000, 3).view(12, 5, 3)).view(60, 3)
        subjects = torch.arange(12).repeat_interleave(5)
        samples = table(30, i + 500, 3) * 3
        ranked = rank_references(samples, found[:30], found[30:], (subjects[:30], subjects[30:]))
        p_values.append(distance_ratio_test([ranked], 99, i).p_value)
    assert stats.kstest(p_values, "uniform").pvalue > 0.01


def test_copies_are_found_and_measured() -> None:
    train, held_out = table(60, 0), table(60, 1)
    copied = distance_ratio_test([rank_references(train[:30], train, held_out)])
    assert copied.p_value == 0.001
    assert copied.share_nearer == 1.0
    assert copied.expected_share == pytest.approx(0.5, abs=0.05)
    assert copied.interval[0] > 0.5
    fresh = distance_ratio_test([rank_references(table(30, 2), train, held_out)])
    assert fresh.p_value > 0.01
    assert abs(fresh.effect) < 0.3


def test_ties_between_both_parts_count_nothing() -> None:
    both = table(20, 0)
    found = distance_ratio_test([rank_references(table(10, 1), both, both)])
    assert found.share_nearer == 0.5
    assert abs(found.effect) < 0.01
    assert found.p_value > 0.1


def test_smooth_samples_are_no_copies() -> None:
    train, held_out = table(200, 0, 20), table(100, 1, 20)
    ranked = rank_references(0.2 * table(200, 2, 20), train, held_out)
    ratios = torch.cdist(held_out, train).amin(dim=1) / torch.cdist(held_out, held_out).add(1e9 * torch.eye(100)).amin(
        dim=1
    )
    assert copy_share(ranked.ratios, ratios.double()).share <= 0.01


def test_share_of_copies_has_the_beta_binomial_p_value() -> None:
    held_out = torch.arange(1, 200, dtype=torch.float64)  # 199: k is 2
    samples = torch.tensor([0.5, 1.5, 1.9, 2.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0], dtype=torch.float64)
    found = copy_share(samples, held_out)
    assert (found.threshold, found.share, found.expected) == (2.0, 0.3, 0.01)
    # P(at least 3 of 10 below the 2nd smallest of 199), by integrating over the threshold's distribution
    grid = (np.arange(200_000) + 0.5) / 200_000
    expected = np.mean(stats.binom.sf(2, 10, grid) * stats.beta.pdf(grid, 2, 198))
    assert found.p_value == pytest.approx(expected, rel=1e-3)


def test_the_p_value_of_copies_is_valid_for_small_held_out_parts() -> None:
    generator = torch.Generator().manual_seed(0)
    draws = [torch.rand(120, generator=generator, dtype=torch.float64) for _ in range(400)]
    p_values = np.array([copy_share(one[:80], one[80:], 0.05).p_value for one in draws])
    for level in (0.01, 0.05, 0.2):
        assert (p_values <= level).mean() <= level + 3 * math.sqrt(level / 400)


@pytest.mark.parametrize(
    ("call", "complaint"),
    [
        (lambda: distance_ratio_test([]), "0 classes and 999 permutations"),
        (lambda: copy_share(torch.ones(3), torch.ones(0)), "3 and 0 ratios"),
        (lambda: copy_share(torch.ones(3), torch.ones(3), 1.0), "level is 1.0"),
        (
            lambda: rank_references(
                table(2, 0), table(2, 1), table(2, 2), (torch.tensor([0, 1]), torch.tensor([1, 2]))
            ),
            r"subjects \[1\] are in the training and in the held-out part",
        ),
    ],
)
def test_what_cannot_be_tested_is_refused(call, complaint) -> None:
    with pytest.raises(ValueError, match=complaint):
        call()
