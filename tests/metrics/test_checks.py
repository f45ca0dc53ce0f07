# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
import torch

from monai_genaug.metrics.checks import check_feature_table, check_features, check_neighbours

GOOD = torch.arange(12.0).reshape(4, 3)


@pytest.mark.parametrize(
    ("real", "synthetic", "text"),
    [
        (GOOD[:1], GOOD, "real features have 1 rows, at least 2"),
        (GOOD, GOOD[:0], "synthetic features have 0 rows, at least 2"),
        (GOOD, GOOD[:, :2], r"feature sizes differ: 3 \(real\) and 2 \(synthetic\)"),
        (GOOD[:, :0], GOOD[:, :0], "real features have 0 columns"),
        (GOOD, GOOD[0], r"synthetic features have shape \(3,\)"),
        (GOOD, GOOD[None], r"synthetic features have shape \(1, 4, 3\)"),
        (GOOD, GOOD / torch.tensor([1.0, 1.0, 0.0]), "synthetic features contain NaN or infinity"),
        (GOOD * torch.nan, GOOD, "real features contain NaN"),
        (GOOD.to(torch.complex64), GOOD, "complex64"),
        (torch.full((4, 3), 0.5), GOOD, "real features are constant: all 4 rows"),
    ],
)
def test_what_is_refused(real: torch.Tensor, synthetic: torch.Tensor, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        check_features(real, synthetic, at_least=2)


def test_bad_values_in_the_last_rows_are_found() -> None:
    features = torch.rand(5000, 2, generator=torch.Generator().manual_seed(0))
    spoilt = features.clone()
    spoilt[-1, -1] = torch.inf
    with pytest.raises(ValueError, match="synthetic features contain"):
        check_features(features, spoilt, at_least=2)
    constant = torch.ones(5000, 2)
    constant[-1, -1] = 2.0
    check_features(constant, features, at_least=2)


def test_a_collapsed_synthetic_set_and_integers_pass() -> None:
    check_features(GOOD, torch.ones(4, 3), at_least=2)
    check_features(GOOD.long(), GOOD.half(), at_least=2)


def test_neighbours_that_a_set_does_not_have() -> None:
    check_neighbours(3, real=GOOD)
    with pytest.raises(ValueError, match="k is 0, allowed: 1 and more"):
        check_neighbours(0)
    with pytest.raises(ValueError, match="4 synthetic samples are too few for k=4 neighbours, at least 5"):
        check_neighbours(4, real=torch.zeros(5, 2), synthetic=GOOD)


def test_sums_that_overflow_are_no_infinite_features() -> None:
    large = torch.full((4, 8), 6e4, dtype=torch.float16)
    large[0] = -1.0
    check_feature_table(large, "real", at_least=2)
    large[2, 3] = torch.inf
    with pytest.raises(ValueError, match="real features contain NaN or infinity"):
        check_feature_table(large, "real", at_least=2)
