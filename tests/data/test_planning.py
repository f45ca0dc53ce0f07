# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections import Counter
from fractions import Fraction
from math import floor

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from monai_genaug.data import plan_counts, plan_replacement

FREQUENCIES = st.lists(st.integers(1, 60), min_size=1, max_size=8)


def labels_of(counts: list[int]) -> list[int]:
    return [label for label, count in enumerate(counts) for _ in range(count)]


# Training set sizes, fractions and totals of the MedMNIST study that this rule comes from (Le Roux, section 2.4).
@pytest.mark.parametrize(
    ("size", "fraction", "total"),
    [
        (89_996, 0.04, 3599),
        (7_007, 0.10, 700),
        (97_477, 0.04, 3899),
        (4_708, 0.10, 470),
        (546, 0.10, 54),
        (34_581, 0.05, 1729),
        (13_000, 0.10, 1300),
        (13_940, 0.10, 1394),
    ],
)
def test_totals_of_the_medmnist_study(size: int, fraction: float, total: int) -> None:
    labels = [0] * (size // 3) + [1] * (size - size // 3)
    assert sum(plan_counts(labels, amount=fraction).values()) == total
    assert sum(plan_counts(labels, "uniform", fraction).values()) == total


def test_allocation_of_breast_and_pneumonia_mnist() -> None:
    assert plan_counts([0] * 147 + [1] * 399, amount=0.1) == {0: 39, 1: 15}  # 54 * (39.46, 14.54) / 54
    assert plan_counts([0] * 1214 + [1] * 3494, amount=470) == {0: 349, 1: 121}  # 348.8, 121.2


@settings(max_examples=50)
@given(FREQUENCIES, st.one_of(st.integers(0, 500), st.floats(0, 3)), st.sampled_from(["inverse_frequency", "uniform"]))
def test_totals_are_exact_and_shares_off_by_less_than_one(counts: list[int], amount: float, strategy: str) -> None:
    plan = plan_counts(labels_of(counts), strategy, amount)  # type: ignore[arg-type]
    total = amount if isinstance(amount, int) else floor(Fraction(str(amount)) * sum(counts))
    assert sum(plan.values()) == total
    assert min(plan.values()) >= 0
    weights = [1 / count if strategy == "inverse_frequency" else 1.0 for count in counts]
    for label, weight in enumerate(weights):
        assert abs(plan[label] - total * weight / sum(weights)) < 1 + 1e-9


@settings(max_examples=50)
@given(FREQUENCIES, st.integers(0, 500))
def test_rarer_classes_never_get_less(counts: list[int], amount: int) -> None:
    plan = plan_counts(labels_of(counts), "inverse_frequency", amount)
    for one, n_one in enumerate(counts):
        for other, n_other in enumerate(counts):
            if n_one < n_other:
                assert plan[one] >= plan[other]


@settings(max_examples=50)
@given(FREQUENCIES)
def test_balance_fills_every_class_to_the_largest(counts: list[int]) -> None:
    plan = plan_counts(labels_of(counts), "balance")
    assert {plan[label] + count for label, count in enumerate(counts)} == {max(counts)}


@settings(max_examples=50)
@given(FREQUENCIES, st.integers(0, 100))
def test_balance_to_a_given_size_never_takes_away(counts: list[int], size: int) -> None:
    plan = plan_counts(labels_of(counts), "balance", size)
    assert all(plan[label] + count == max(count, size) for label, count in enumerate(counts))


@settings(max_examples=50)
@given(FREQUENCIES, st.floats(0, 8), st.floats(0, 2))
def test_ratio_follows_each_class_and_grows_with_the_amount(counts: list[int], amount: float, more: float) -> None:
    plan, larger = (plan_counts(labels_of(counts), "ratio", value) for value in (amount, amount + more))
    for label, count in enumerate(counts):
        assert abs(plan[label] - amount * count) <= 0.5 + 1e-9
        assert larger[label] >= plan[label]


def test_an_int_amount_counts_and_a_float_amount_is_a_fraction() -> None:
    labels = [0] * 10 + [1] * 10
    assert sum(plan_counts(labels, "uniform", 1).values()) == 1
    assert sum(plan_counts(labels, "uniform", 1.0).values()) == 20
    assert sum(plan_counts([0] * 100, "uniform", 0.29).values()) == 29  # 0.29 * 100 < 29 in binary


def test_labels_in_every_form_and_order() -> None:
    expected = plan_counts([1, 1, 1, 0], amount=8)
    assert expected == {0: 6, 1: 2}
    assert list(expected) == [0, 1]
    assert plan_counts(np.array([[1], [1], [0], [1]], dtype=np.uint8), amount=8) == expected
    assert plan_counts(torch.tensor([0, 1, 1, 1]), amount=8) == expected
    assert plan_counts(["b", "a", "b", "b"], amount=8) == {"a": 6, "b": 2}


@pytest.mark.parametrize(
    ("labels", "strategy", "amount", "words"),
    [
        ([], "balance", None, "labels is empty"),
        ([0], "inverse", 1, "'inverse', allowed: 'inverse_frequency'"),
        ([0], "inverse_frequency", None, "needs an amount"),
        ([0], "ratio", None, "needs an amount"),
        ([0], "uniform", -1, "amount is -1"),
        ([0], "ratio", float("nan"), "amount is nan"),
        ([0], "uniform", float("inf"), "amount is inf"),
        ([0], "uniform", True, "amount is True"),
        ([0], "balance", 0.5, "amount is 0.5"),
        ([0.5], "uniform", 1, "0.5"),
    ],
)
def test_bad_arguments_are_named(labels: list[float], strategy: str, amount: float | None, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        plan_counts(labels, strategy, amount)  # type: ignore[arg-type]


def people(n: int = 30) -> list[dict[str, object]]:
    return [{"id": i, "label": i % 3, "seen": i < n // 2} for i in range(n)]


def test_replacement_takes_real_items_of_each_class_and_plans_synthetic_ones() -> None:
    kept, plan = plan_replacement(people(), 4, 24, class_key="label")
    assert Counter(item["label"] for item in kept) == {0: 6, 1: 6, 2: 6}
    assert plan == {0: 24, 1: 24, 2: 24}
    assert [item["id"] for item in kept] == sorted(item["id"] for item in kept)  # type: ignore[type-var]


def test_replacement_by_class_and_without_classes() -> None:
    kept, plan = plan_replacement(people(), {0: 10, 2: 1}, {0: 5, 1: 2}, class_key="label")
    assert Counter(item["label"] for item in kept) == {1: 10, 2: 9}
    assert plan == {0: 5, 1: 2, 2: 0}
    kept, plan = plan_replacement(people(), 7, 100)
    assert (len(kept), plan) == (23, 100)


def test_replacement_leaves_items_that_are_not_flagged() -> None:
    kept, _ = plan_replacement(people(), 5, 1, class_key="label", flag_key="seen")
    assert not any(item["seen"] for item in kept)
    assert len(kept) == 15
    with pytest.raises(ValueError, match="n_real is 6 for class 0, but only 5"):
        plan_replacement(people(), 6, 1, class_key="label", flag_key="seen")


@settings(max_examples=50)
@given(st.integers(0, 2**40), st.integers(0, 30), st.integers(0, 30))
def test_replacement_is_a_function_of_the_seed_and_nested(seed: int, one: int, other: int) -> None:
    few, many = sorted((one, other))
    kept_few, kept_many = (plan_replacement(people(), n, 0, seed=seed)[0] for n in (few, many))
    assert (len(kept_few), len(kept_many)) == (30 - few, 30 - many)
    assert all(item in kept_few for item in kept_many)
    assert kept_many == plan_replacement(people(), many, 0, seed=seed)[0]


def test_seeds_choose_different_items() -> None:
    chosen = {tuple(item["id"] for item in plan_replacement(people(), 15, 0, seed=seed)[0]) for seed in range(20)}
    assert len(chosen) == 20


@pytest.mark.parametrize(
    ("n_real", "n_fake", "class_key", "words"),
    [
        (-1, 1, None, "n_real is -1"),
        (1, -1, "label", "n_fake is -1"),
        (1.5, 1, None, "n_real is 1.5"),
        (31, 1, None, "n_real is 31 for class None, but only 30"),
        ({5: 1}, 1, "label", r"n_real names the classes \[5\], in the items there are \[0, 1, 2\]"),
        ({0: 1}, 1, None, "n_real names the classes"),
    ],
)
def test_bad_replacements_are_named(n_real: object, n_fake: int, class_key: str | None, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        plan_replacement(people(), n_real, n_fake, class_key=class_key)  # type: ignore[arg-type]


def test_replacement_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="items is empty"):
        plan_replacement([], 0, 1)
