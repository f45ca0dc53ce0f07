# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
import torch
from scipy import stats

from monai_genaug.latent import TruncatedNormalLatent
from monai_genaug.latent.draws import uniform


@pytest.mark.parametrize("truncation", [1.0, 0.5, 0.01])
def test_against_scipy(truncation: float) -> None:
    bound, seeds = 2.0 * truncation, range(50)
    expected = torch.from_numpy(stats.truncnorm(-bound, bound).ppf(uniform(seeds, 3).numpy()))
    sample = TruncatedNormalLatent(3, bound=2.0).sample(seeds, truncation)
    torch.testing.assert_close(sample.double(), expected, rtol=0, atol=1e-6)
    assert sample.abs().max() <= bound


@pytest.mark.parametrize("bound", [0.0, -1.0, float("inf"), float("nan")])
def test_bad_bound(bound: float) -> None:
    with pytest.raises(ValueError, match=f"bound must be positive and finite, got {bound}"):
        TruncatedNormalLatent(3, bound=bound)
