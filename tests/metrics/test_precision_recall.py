# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.neighbors import NearestNeighbors

from monai_genaug.metrics import precision_and_recall
from tests.metrics.feature_sets import WIDE, feature_sets


def _on_manifold(points: np.ndarray, samples: np.ndarray, k: int) -> float:
    """Eq. 1 and 2 with scikit-learn."""
    radii = NearestNeighbors(n_neighbors=k + 1).fit(samples).kneighbors(samples)[0][:, -1]
    return float((np.linalg.norm(points[:, None] - samples, axis=2) <= radii).any(axis=1).mean())


@pytest.mark.parametrize(("n", "m", "k"), [(40, 30, 1), (600, 530, 3), (20, 30, 19)])
def test_equals_a_computation_with_scikit_learn(n: int, m: int, k: int) -> None:
    real, fake = feature_sets(n, m, 5)
    x, y = real.double().numpy(), fake.double().numpy()
    assert precision_and_recall(real, fake, k) == pytest.approx((_on_manifold(y, x, k), _on_manifold(x, y, k)))


def test_values_of_the_original_packages() -> None:
    """``prdc`` 0.2 with nearest_k=4 and ``torch-fidelity`` 0.4.0 with neighborhood=3, both in float64."""
    assert precision_and_recall(*feature_sets(), k=4) == pytest.approx((0.9142857142857143, 0.5777777777777777))
    assert precision_and_recall(*feature_sets(), k=3) == pytest.approx((0.8857142925262451, 0.41111111640930176))
    assert precision_and_recall(*feature_sets(*WIDE), k=4) == (1.0, 0.0)


def test_swapping_the_sets_swaps_the_values() -> None:
    real, fake = feature_sets()
    assert precision_and_recall(fake, real) == precision_and_recall(real, fake)[::-1]


def test_what_precision_and_recall_see() -> None:
    real, _ = feature_sets(80, 2, 4)
    assert precision_and_recall(real, real.flip(0)) == (1.0, 1.0)
    precision, recall = precision_and_recall(real, real[:1].repeat(80, 1))  # one real image, again and again
    assert (precision, recall) == (1.0, 1 / 80)
    assert precision_and_recall(real, real + 100.0) == (0.0, 0.0)


def test_both_sets_need_neighbours() -> None:
    real, fake = feature_sets(9, 3, 2)
    with pytest.raises(ValueError, match="3 synthetic samples are too few for k=3"):
        precision_and_recall(real, fake)
    with pytest.raises(ValueError, match="3 real samples are too few for k=3"):
        precision_and_recall(fake, real)
    with pytest.raises(ValueError, match="k is -1"):
        precision_and_recall(real, fake, k=-1)


def test_no_graph_is_kept() -> None:
    real, fake = feature_sets(9, 9, 2)
    assert precision_and_recall(real, fake.requires_grad_()) == precision_and_recall(real, fake.detach())
    assert torch.is_grad_enabled()
