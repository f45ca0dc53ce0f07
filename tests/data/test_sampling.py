# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import WeightedRandomSampler

from monai_genaug.data import sample_weights


@settings(max_examples=50)
@given(st.lists(st.tuples(st.integers(0, 4), st.booleans()), min_size=1, max_size=60), st.floats(0.1, 10))
def test_every_class_weighs_the_same(items: list[tuple[int, bool]], synthetic_weight: float) -> None:
    labels, flags = [label for label, _ in items], [flag for _, flag in items]
    weights = sample_weights(labels, flags, synthetic_weight)
    for label in set(labels):
        own = [float(w) for w, other in zip(weights, labels, strict=True) if other == label]
        assert sum(own) == pytest.approx(1.0)
    for i, (label, flag) in enumerate(items):
        for j, (other, other_flag) in enumerate(items):
            if label == other and flag and not other_flag:
                assert float(weights[i] / weights[j]) == pytest.approx(synthetic_weight)


def test_a_sampler_draws_balanced_batches() -> None:
    labels = ["benign"] * 900 + ["malignant"] * 100
    sampler = WeightedRandomSampler(
        sample_weights(labels).tolist(), num_samples=4000, generator=torch.Generator().manual_seed(0)
    )
    drawn = Counter(labels[index] for index in sampler)
    assert abs(drawn["malignant"] - 2000) < 5 * 32  # five standard deviations of a fair coin


def test_weight_zero_leaves_synthetic_items_out() -> None:
    weights = sample_weights([0, 0, 1, 1], [True, False, False, False], synthetic_weight=0)
    assert weights.tolist() == [0.0, 1.0, 0.5, 0.5]
    assert weights.dtype == torch.float64


@pytest.mark.parametrize(
    ("labels", "flags", "weight", "words"),
    [
        ([], None, 1.0, "labels is empty"),
        ([0, 1], [True], 1.0, "1 values for 2 labels"),
        ([0, 1], None, -1.0, "synthetic_weight is -1.0"),
        ([0, 1], None, float("nan"), "synthetic_weight is nan"),
        ([0, 1], [True, False], 0.0, r"classes \[0\] have synthetic items only"),
    ],
)
def test_bad_arguments_are_named(labels: list[int], flags: list[bool] | None, weight: float, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        sample_weights(labels, flags, weight)
