# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
import torch
from sklearn.neighbors import NearestNeighbors

from monai_genaug.metrics.balls import in_closed_balls, in_open_balls, squared_radii
from tests.metrics.feature_sets import feature_sets


@pytest.mark.parametrize("k", [1, 5, 599])
def test_radii_are_those_of_scikit_learn(k: int) -> None:
    features, _ = feature_sets(600, 2, 4)
    found = NearestNeighbors(n_neighbors=k + 1, algorithm="brute").fit(features.double().numpy())
    distances = torch.from_numpy(found.kneighbors(features.double().numpy())[0][:, k])
    torch.testing.assert_close(squared_radii(features, k), distances.square(), rtol=1e-9, atol=0)


def test_repeated_rows_are_each_others_neighbours() -> None:
    features = torch.tensor([[0.0, 1], [0, 1], [0, 1], [5, 1], [9, 1]])
    assert squared_radii(features, 2).tolist() == [0.0, 0.0, 0.0, 25.0, 81.0]


def test_radii_far_from_the_origin() -> None:
    features, _ = feature_sets(40, 2, 4)
    moved = squared_radii(features.double() + 1e6, 3)
    torch.testing.assert_close(moved, squared_radii(features, 3), rtol=1e-6, atol=0)


def test_rounding_errors_decide_nothing() -> None:
    radii = torch.tensor([4.0, 4.0, 4.0, 0.0], dtype=torch.float64)
    squared = torch.tensor([4.0 + 1e-13, 4.0 - 1e-13, 3.9, 0.0], dtype=torch.float64)
    assert in_open_balls(squared, radii).tolist() == [False, False, True, False]
    assert in_closed_balls(squared, radii).tolist() == [True, True, True, True]
    assert in_closed_balls(torch.tensor([4.1]), radii[:1]).tolist() == [False]
