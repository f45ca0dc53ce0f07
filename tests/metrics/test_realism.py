# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.neighbors import NearestNeighbors

from monai_genaug.metrics import precision_and_recall, realism_scores
from tests.metrics.feature_sets import feature_sets


@pytest.mark.parametrize(("n", "m"), [(91, 70), (1100, 530)])
def test_equals_a_computation_with_scikit_learn(n: int, m: int) -> None:
    real, fake = feature_sets(n, m, 5)
    x, y = real.double().numpy(), fake.double().numpy()
    radii = NearestNeighbors(n_neighbors=4).fit(x).kneighbors(x)[0][:, -1]
    small = radii <= np.percentile(radii, 50)
    expected = (radii[small] / np.linalg.norm(y[:, None] - x[small], axis=2)).max(axis=1)
    np.testing.assert_allclose(realism_scores(real, fake).numpy(), expected, rtol=1e-9)


def test_a_score_of_one_is_the_rim_of_a_ball() -> None:
    real = torch.tensor([[0.0], [1.0], [2.0], [3.0], [50.0], [90.0]])
    scores = realism_scores(real, torch.tensor([[3.5], [4.0], [5.0], [50.5]]), k=1)  # balls around 0, 1, 2, 3 count
    assert scores.tolist() == pytest.approx([2.0, 1.0, 0.5, 1 / 47.5])


def test_samples_with_a_score_from_one_on_count_for_precision() -> None:
    real, fake = feature_sets()
    assert float((realism_scores(real, fake) >= 1).double().mean()) <= precision_and_recall(real, fake)[0]


def test_a_copy_scores_highest_and_the_order_is_kept() -> None:
    real, fake = feature_sets()
    scores = realism_scores(real, torch.cat([fake, real]))
    torch.testing.assert_close(scores[: len(fake)], realism_scores(real, fake))
    assert int(scores[len(fake) :].isinf().sum()) == 45


@pytest.mark.parametrize("size", [1, 32])
def test_a_score_depends_on_no_other_sample(size: int) -> None:
    real, fake = feature_sets(600, 90, 5)
    parts = [realism_scores(real, batch) for batch in fake.split(size)]
    torch.testing.assert_close(torch.cat(parts), realism_scores(real, fake), rtol=1e-12, atol=0)


def test_samples_without_balls_are_refused() -> None:
    real = torch.cat([torch.zeros(6, 2), torch.eye(2)])
    with pytest.raises(ValueError, match="half of the 8 real samples have k=3 equal others"):
        realism_scores(real, real)
    with pytest.raises(ValueError, match="too few for k=8"):
        realism_scores(real, real, k=8)
