# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.neighbors import NearestNeighbors

from monai_genaug.metrics import density_and_coverage
from tests.metrics.feature_sets import WIDE, feature_sets


@pytest.mark.parametrize(("n", "m"), [(60, 45), (600, 530)])
def test_equals_a_computation_with_scikit_learn(n: int, m: int) -> None:
    rng = np.random.default_rng(0)
    real, fake, k = rng.normal(size=(n, 5)), rng.normal(size=(m, 5)) * 0.7, 4
    radii = NearestNeighbors(n_neighbors=k + 1).fit(real).kneighbors(real)[0][:, -1]
    inside = np.linalg.norm(real[:, None] - fake, axis=2) < radii[:, None]
    density, coverage = density_and_coverage(torch.from_numpy(real), torch.from_numpy(fake), k=k)
    assert density == pytest.approx(np.sum(inside) / (k * len(fake)))
    assert coverage == pytest.approx(np.mean(np.any(inside, axis=1)))


def test_values_of_prdc() -> None:
    """``prdc`` 0.2, ``compute_prdc(real, synthetic, nearest_k=4)`` in float64."""
    assert density_and_coverage(*feature_sets(), k=4) == pytest.approx((1.5892857142857142, 0.9444444444444444))
    assert density_and_coverage(*feature_sets(*WIDE), k=4) == pytest.approx((5.591666666666667, 1.0))


def test_a_collapsed_set_covers_little_and_a_copy_covers_all() -> None:
    real = torch.randn(80, 4, generator=torch.Generator().manual_seed(0))
    assert density_and_coverage(real, real[:1].repeat(80, 1) + 1e-3)[1] < 0.2
    assert density_and_coverage(real, real.flip(0)) == (1.0, 1.0)  # a ball holds its centre and k - 1 neighbours


def test_expected_values_for_equal_distributions() -> None:
    generator = torch.Generator().manual_seed(0)
    real, fake = torch.randn(1000, 3, generator=generator), torch.randn(1000, 3, generator=generator)
    density, coverage = density_and_coverage(real, fake, k=5)
    assert density == pytest.approx(1.0, abs=0.05)
    assert coverage == pytest.approx(1 - 2**-5, abs=0.02)


def test_bad_k_is_refused() -> None:
    with pytest.raises(ValueError, match="k is 0"):
        density_and_coverage(torch.zeros(9, 2), torch.zeros(9, 2), k=0)
    with pytest.raises(ValueError, match="too few for k=5"):
        density_and_coverage(torch.zeros(5, 2), torch.zeros(9, 2), k=5)
    with pytest.raises(ValueError, match="real features are constant"):
        density_and_coverage(torch.zeros(9, 2), torch.zeros(9, 2))
