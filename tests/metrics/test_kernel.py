# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics.pairwise import polynomial_kernel

from monai_genaug.metrics import kernel_distance
from monai_genaug.metrics.kernel import _subsets
from tests.metrics.feature_sets import WIDE, feature_sets


def _reference(x: torch.Tensor, y: torch.Tensor) -> float:
    """The unbiased estimate with scikit-learn's kernel."""
    n, m = len(x), len(y)
    xx, yy, xy = (polynomial_kernel(a.double(), b.double(), degree=3, coef0=1) for a, b in ((x, x), (y, y), (x, y)))
    within = (xx.sum() - np.trace(xx)) / (n * (n - 1)) + (yy.sum() - np.trace(yy)) / (m * (m - 1))
    return float(within - 2 * xy.mean())


@pytest.mark.parametrize("shape", [(40, 31, 5), (700, 600, 3), (2, 2, 50)])
def test_whole_sets_equal_a_computation_with_scikit_learn(shape: tuple[int, int, int]) -> None:
    real, fake = feature_sets(*shape)
    assert kernel_distance(real, fake) == (pytest.approx(_reference(real, fake), rel=1e-9), 0.0)


def test_values_of_the_original_packages() -> None:
    """``torch-fidelity`` 0.4.0 and ``clean-fid`` 0.1.35, one subset of all samples, in float64."""
    real, fake = feature_sets()
    assert kernel_distance(real[:70], fake)[0] == pytest.approx(0.2605501473371297, rel=1e-9)
    assert kernel_distance(*feature_sets(*WIDE))[0] == pytest.approx(0.26266433426162833, rel=1e-9)


@pytest.mark.parametrize(("size", "count"), [(20, 4), (20, 30), (80, 5)], ids=["single", "together", "one set whole"])
def test_mean_and_deviation_over_subsets(size: int, count: int) -> None:
    real, fake = feature_sets()
    rows = zip(_subsets(real, size, count, 3, stream=0), _subsets(fake, size, count, 3, stream=1), strict=True)
    expected = [_reference(real[i], fake[j]) for i, j in rows]
    mean, deviation = kernel_distance(real, fake, size, count, seed=3)
    assert mean == pytest.approx(np.mean(expected), rel=1e-9)
    assert deviation == pytest.approx(np.std(expected), rel=1e-9)


def test_subsets_are_random_without_repetition() -> None:
    features, _ = feature_sets(300, 2, 4)
    subsets = _subsets(features, 60, 50, seed=0, stream=0)
    assert all(len(set(rows.tolist())) == 60 for rows in subsets)
    assert len({tuple(sorted(rows.tolist())) for rows in subsets}) == 50
    counts = subsets.flatten().bincount(minlength=300).double()  # binomial: 10 of 50, deviation sqrt(8)
    assert float(counts.std()) == pytest.approx(8**0.5, rel=0.2)
    assert not torch.equal(subsets, _subsets(features, 60, 50, seed=0, stream=1))


def test_order_and_global_random_state_change_nothing() -> None:
    real, fake = feature_sets()
    fake[10:20] = fake[:10]  # repeated samples too
    state, expected = torch.get_rng_state(), kernel_distance(real, fake, 20, 7)
    torch.manual_seed(1)
    assert kernel_distance(real.flip(0), fake[torch.randperm(70)], 20, 7) == pytest.approx(expected, rel=1e-12)
    torch.set_rng_state(state)
    assert kernel_distance(real, fake, 20, 7) == expected
    assert torch.equal(torch.get_rng_state(), state)
    assert kernel_distance(real, fake, 20, 7, seed=1) != expected


def test_estimate_has_no_bias() -> None:
    features = torch.randn(3000, 4, generator=torch.Generator().manual_seed(0))
    estimates = torch.tensor([kernel_distance(*part.chunk(2))[0] for part in features.split(20)])
    assert abs(float(estimates.mean())) < 3 * float(estimates.std()) / len(estimates) ** 0.5
    assert bool((estimates < 0).any())


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"subset_size": 1}, "subset_size is 1, allowed: 2"),
        ({"n_subsets": 0}, "n_subsets is 0, allowed: 1"),
        ({"seed": -1}, "seed is -1"),
        ({"seed": 2**63}, "seed is 9223372036854775808"),
    ],
)
def test_bad_arguments_are_refused(arguments: dict[str, int], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        kernel_distance(*feature_sets(), **arguments)


def test_one_sample_is_too_few() -> None:
    real, fake = feature_sets()
    with pytest.raises(ValueError, match="synthetic features have 1 rows, at least 2"):
        kernel_distance(real, fake[:1])
