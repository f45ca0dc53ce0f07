# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from monai_genaug.experiments.statistics import mean_and_interval


def test_equals_scipys_interval() -> None:
    values = [0.71, 0.74, 0.69, 0.75, 0.72]
    low, high = stats.t.interval(0.95, 4, loc=np.mean(values), scale=stats.sem(values))
    assert mean_and_interval(values) == pytest.approx((np.mean(values), low, high))


def test_holds_the_true_mean_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    inside = [low <= 0.0 <= high for _, low, high in (mean_and_interval(rng.normal(size=5)) for _ in range(2000))]
    assert 0.93 < np.mean(inside) < 0.97


def test_one_run_gives_no_interval() -> None:
    with pytest.raises(ValueError, match="1 runs"):
        mean_and_interval([0.5])
