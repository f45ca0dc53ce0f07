# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
import torch
from scipy import stats

from monai_genaug.latent import NormalLatent
from monai_genaug.latent.draws import standard_normal


def test_samples_are_scaled_normal_draws() -> None:
    expected = 0.3 * standard_normal(range(5), 4)
    torch.testing.assert_close(NormalLatent(4).sample(range(5), truncation=0.3).double(), expected, rtol=0, atol=1e-7)


def test_log_prob_against_scipy() -> None:
    z = standard_normal(range(6), 4)
    expected = stats.multivariate_normal(mean=[0.0] * 4).logpdf(z.numpy())
    torch.testing.assert_close(NormalLatent(4).log_prob(z), torch.from_numpy(expected))


def test_fit_measures_the_spread_only() -> None:
    latent = NormalLatent(2)
    latent.fit(torch.tensor([[0.0, 0.0], [0.0, 1.0], [0.0, 2.0], [0.0, 5.0]]))
    assert latent.spread.tolist() == [0.0, 1.0]  # no code differs along the first axis
    assert torch.equal(latent.sample([1]), NormalLatent(2).sample([1]))


@pytest.mark.parametrize(
    ("codes", "message"),
    [
        (torch.zeros(4, 3), r"shape \(n >= 2, 2\), got \(4, 3\)"),
        (torch.zeros(1, 2), "n >= 2"),
        (torch.tensor([[0.0, 1.0], [float("nan"), 1.0]]), "finite, got 1"),
        (torch.ones(4, 2), "4 codes are equal"),
    ],
)
def test_bad_codes(codes: torch.Tensor, message: str) -> None:
    latent = NormalLatent(2)
    with pytest.raises(ValueError, match=message):
        latent.fit(codes)
    assert latent.spread.tolist() == [1.0, 1.0]
