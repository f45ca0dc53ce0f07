# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg
import torch

from monai_genaug.metrics import frechet_distance
from tests.metrics.feature_sets import WIDE, feature_sets


def _reference(x: np.ndarray, y: np.ndarray) -> float:
    """The textbook formula with a matrix square root."""
    c, d = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    root = scipy.linalg.sqrtm(c @ d).real
    return float(((x.mean(0) - y.mean(0)) ** 2).sum() + np.trace(c + d - 2 * root))


@pytest.mark.parametrize(("n", "m", "d"), [(200, 150, 8), (40, 60, 40), (300, 90, 64)])
def test_equals_the_textbook_formula(n: int, m: int, d: int) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(n, d)), rng.normal(size=(m, d)) @ rng.normal(size=(d, d)) + 0.3
    assert frechet_distance(torch.from_numpy(x), torch.from_numpy(y)) == pytest.approx(_reference(x, y), rel=1e-4)


def test_fewer_samples_than_features_equals_the_full_form() -> None:
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(12, 50)), 2.0 * rng.normal(size=(9, 50))
    c, d = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    values, vectors = np.linalg.eigh(c)
    root = (vectors * np.sqrt(values.clip(0))) @ vectors.T
    cross = np.sqrt(np.linalg.eigvalsh(root @ d @ root).clip(0)).sum()
    expected = ((x.mean(0) - y.mean(0)) ** 2).sum() + np.trace(c) + np.trace(d) - 2 * cross
    assert frechet_distance(torch.from_numpy(x), torch.from_numpy(y)) == pytest.approx(expected, rel=1e-5)


def test_zero_for_equal_sets_and_shift_of_the_mean_squared() -> None:
    x = torch.randn(50, 6, generator=torch.Generator().manual_seed(0))
    assert frechet_distance(x, x) == pytest.approx(0.0, abs=1e-5)
    assert frechet_distance(x, x + 2.0) == pytest.approx(6 * 4.0, rel=1e-5)


@pytest.mark.parametrize(
    ("real", "synthetic", "text"),
    [
        (torch.zeros(1, 3), torch.zeros(5, 3), "1 rows"),
        (torch.zeros(5, 3), torch.zeros(5, 4), "feature sizes differ: 3 .* 4"),
        (torch.full((5, 3), float("nan")), torch.zeros(5, 3), "NaN"),
        (torch.zeros(5), torch.zeros(5, 3), "shape"),
    ],
)
def test_bad_features_are_refused(real: torch.Tensor, synthetic: torch.Tensor, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        frechet_distance(real, synthetic)


def test_many_rows_in_blocks() -> None:
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(3000, 6)) + 1e3, rng.normal(size=(1700, 6)) @ rng.normal(size=(6, 6)) + 1e3
    assert frechet_distance(torch.from_numpy(x), torch.from_numpy(y)) == pytest.approx(_reference(x, y), rel=1e-8)


@pytest.mark.parametrize(("rank", "noise"), [(40, 0.0), (5, 0.0), (40, 1e-3), (40, 1.0)])
def test_rounding_does_not_show(rank: int, noise: float) -> None:
    """Features of low rank, and sets that are nearly the same, whose distance is what large traces leave."""
    rng = np.random.default_rng(3)
    x = rng.normal(size=(30, rank)) @ rng.normal(size=(rank, 40))
    y = x + noise * rng.normal(size=x.shape) if noise else rng.normal(size=(20, rank)) @ rng.normal(size=(rank, 40))
    one, two = ((part - part.mean(0)) / np.sqrt(len(part) - 1) for part in (x, y))
    traces = (one**2).sum() + (two**2).sum()
    expected = ((x.mean(0) - y.mean(0)) ** 2).sum() + traces - 2 * scipy.linalg.svdvals(one @ two.T).sum()
    found = frechet_distance(torch.from_numpy(x), torch.from_numpy(y))
    assert found == pytest.approx(expected, rel=0, abs=1e-13 * traces)


def test_values_of_the_original_packages() -> None:
    """``torch-fidelity`` 0.4.0 and ``clean-fid`` 0.1.35 from ``np.cov`` in float64."""
    assert frechet_distance(*feature_sets()) == pytest.approx(2.55808574766068, rel=1e-9)
    assert frechet_distance(*feature_sets(*WIDE)) == pytest.approx(78.7455011087514, rel=1e-6)
