# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
import torch
from sklearn.neighbors import NearestNeighbors

from monai_genaug.metrics import nearest_real_rows
from tests.metrics.feature_sets import feature_sets


def test_equals_all_distances() -> None:
    rng = torch.Generator().manual_seed(0)
    real, synthetic = torch.randn(700, 5, generator=rng), torch.randn(600, 5, generator=rng)
    rows, distances = nearest_real_rows(real, synthetic)
    expected = torch.cdist(synthetic.double(), real.double())
    assert torch.equal(rows, expected.argmin(dim=1))
    torch.testing.assert_close(distances, expected.amin(dim=1))


def test_a_copy_has_distance_0_and_the_first_of_equal_ones_is_taken() -> None:
    real = torch.randn(6, 3).repeat(2, 1)
    rows, distances = nearest_real_rows(real, real[[4, 7]])
    assert rows.tolist() == [4, 1]
    assert distances.tolist() == [0.0, 0.0]


@pytest.mark.parametrize("size", [1, 13, 600])
def test_batches_of_synthetic_samples_change_nothing(size: int) -> None:
    real, synthetic = feature_sets(700, 600, 5)
    rows, distances = nearest_real_rows(real, synthetic)
    parts = [nearest_real_rows(real, batch) for batch in synthetic.split(size)]
    assert torch.equal(torch.cat([part[0] for part in parts]), rows)
    torch.testing.assert_close(torch.cat([part[1] for part in parts]), distances, rtol=1e-12, atol=0)


def test_equals_a_search_with_scikit_learn() -> None:
    real, synthetic = feature_sets(700, 60, 5)
    search = NearestNeighbors(n_neighbors=1, algorithm="kd_tree").fit(real.double().numpy())
    expected, found = search.kneighbors(synthetic.double().numpy())
    rows, distances = nearest_real_rows(real, synthetic)
    assert rows.tolist() == found[:, 0].tolist()
    assert distances.tolist() == pytest.approx(expected[:, 0].tolist(), rel=1e-9)


def test_sets_that_cannot_be_compared_are_refused() -> None:
    with pytest.raises(ValueError, match=r"real features are \(2, 3\) on cpu, synthetic ones \(2, 4\)"):
        nearest_real_rows(torch.zeros(2, 3), torch.zeros(2, 4))
    for bad in (torch.nan, torch.inf):
        with pytest.raises(ValueError, match="synthetic features contain NaN or infinity"):
            nearest_real_rows(torch.zeros(2, 3), torch.tensor([[0.0, bad, 0.0]]))
    with pytest.raises(ValueError, match="synthetic features have 0 rows"):
        nearest_real_rows(torch.zeros(2, 3), torch.zeros(0, 3))
