# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest
import torch

from monai_genaug.metrics import vendi_score
from tests.metrics.feature_sets import WIDE, feature_sets


@pytest.mark.parametrize("shape", [(2, 90, 12), (2, 30, 30), (2, 12, 90), (2, 1100, 5), (2, 600, 700)])
def test_equals_the_entropy_of_the_similarities(shape: tuple[int, int, int]) -> None:
    _, features = feature_sets(*shape)
    x = features.double().numpy()
    x = x / np.linalg.norm(x, axis=1, keepdims=True)
    values = np.linalg.eigvalsh(x @ x.T / len(x))
    values = values[values > 1e-12]
    assert vendi_score(features) == pytest.approx(np.exp(-(values * np.log(values)).sum()), rel=1e-8)


def test_values_of_the_original_package() -> None:
    """``vendi-score`` 0.0.3, ``vendi.score_dual`` in float64."""
    real, fake = feature_sets()
    assert vendi_score(real) == pytest.approx(11.22869271405085, rel=1e-9)
    assert vendi_score(fake) == pytest.approx(10.747189618062139, rel=1e-9)
    assert vendi_score(feature_sets(*WIDE)[1]) == pytest.approx(38.56582999511297, rel=1e-9)


def test_counts_different_samples() -> None:
    assert vendi_score(torch.eye(7)) == pytest.approx(7.0)
    assert vendi_score(torch.eye(7)[:4].repeat(3, 1)) == pytest.approx(4.0)
    assert vendi_score(torch.ones(20, 3)) == pytest.approx(1.0)
    assert vendi_score(torch.ones(1, 3)) == pytest.approx(1.0)


def test_length_and_order_of_rows_do_not_matter() -> None:
    _, features = feature_sets()
    scaled = features.double().flip(0) * torch.logspace(-3, 3, 70, dtype=torch.float64)[:, None]
    assert vendi_score(scaled) == pytest.approx(vendi_score(features), rel=1e-9)


@pytest.mark.parametrize(
    ("features", "text"),
    [
        (torch.tensor([[1.0, 2.0], [0.0, 0.0]]), "row 1 of the features is zero"),
        (torch.zeros(0, 3), "0 rows, at least 1"),
        (torch.full((2, 2), torch.nan), "NaN"),
        (torch.ones(3), "shape"),
    ],
)
def test_bad_features_are_refused(features: torch.Tensor, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        vendi_score(features)
