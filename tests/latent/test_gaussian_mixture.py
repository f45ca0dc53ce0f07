# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn.mixture import GaussianMixture

from monai_genaug.latent import GaussianMixtureLatent
from monai_genaug.latent.draws import standard_normal


def clusters(n: int, d: int) -> torch.Tensor:
    noise = standard_normal(range(n), d)
    centres = 4.0 * standard_normal(range(3), d, stream=9)
    return centres[torch.arange(n) % 3] + noise * torch.linspace(0.2, 1.0, d)


def test_log_prob_against_scikit_learn() -> None:
    codes = clusters(150, 3)
    latent = GaussianMixtureLatent(3, n_components=3)
    latent.fit(codes)
    regularization = 1e-3 * float(codes.var(dim=0).mean())
    oracle = GaussianMixture(3, reg_covar=regularization, max_iter=500, random_state=0).fit(codes.numpy())
    points = clusters(400, 3)[150:]
    torch.testing.assert_close(
        latent.log_prob(points), torch.from_numpy(oracle.score_samples(points.numpy())), rtol=1e-4, atol=1e-4
    )


def test_samples_follow_the_mixture() -> None:
    latent = GaussianMixtureLatent(2, n_components=3)
    latent.fit(clusters(300, 2))
    sample = latent.sample(range(4000)).double().numpy()
    weights, means = latent.weights.double().numpy(), latent.means.double().numpy()
    covariances = (latent.factors @ latent.factors.mT).double().numpy()
    for axis in range(2):
        scales = np.sqrt(covariances[:, axis, axis])

        def cdf(x: np.ndarray, axis: int = axis, scales: np.ndarray = scales) -> np.ndarray:
            return np.asarray(stats.norm.cdf((np.asarray(x)[..., None] - means[:, axis]) / scales) @ weights)

        assert stats.kstest(sample[:, axis], cdf).pvalue > 0.01
    expected = np.cov(means.T, aweights=weights, ddof=0) + np.einsum("k,kij->ij", weights, covariances)
    np.testing.assert_allclose(np.cov(sample.T), expected, atol=0.05 * np.trace(expected))


def test_towards_zero_truncation_samples_approach_the_means() -> None:
    latent = GaussianMixtureLatent(2, n_components=3)
    latent.fit(clusters(90, 2))
    near, far = latent.sample(range(40), truncation=1e-6), latent.sample(range(40))
    distances = torch.cdist(near.double(), latent.means.double())
    assert distances.amin(dim=1).max() < 1e-4
    means = latent.means[distances.argmin(dim=1)]
    half = latent.sample(range(40), truncation=0.5)
    torch.testing.assert_close(half, 0.5 * (means + far), rtol=0, atol=1e-5)


def test_more_parameters_than_codes() -> None:
    codes = standard_normal(range(40), 16)
    latent = GaussianMixtureLatent(16, n_components=10)
    latent.fit(codes)
    sample = latent.sample(range(64)).double()
    assert sample.isfinite().all()
    assert latent.log_prob(sample).isfinite().all()
    assert torch.cdist(sample, codes).min() > 1e-2  # no component has collapsed onto a code


@pytest.mark.parametrize(("count", "components"), [(2, 1), (9, 1), (14, 2), (49, 9), (50, 10), (200, 10)])
def test_few_codes_get_fewer_components(count: int, components: int) -> None:
    latent = GaussianMixtureLatent(3)
    latent.fit(clusters(count, 3))
    assert latent.means.shape == (components, 3)
    fresh = GaussianMixtureLatent(3)
    fresh.load_state_dict(latent.state_dict())
    torch.testing.assert_close(fresh.sample(range(8)), latent.sample(range(8)), rtol=0, atol=0)


@pytest.mark.parametrize("codes", [torch.zeros(1, 2), torch.full((9, 2), torch.nan), torch.zeros(9, 3)])
def test_bad_codes_change_nothing(codes: torch.Tensor) -> None:
    latent = GaussianMixtureLatent(2, n_components=4)
    with pytest.raises(ValueError, match="codes must"):
        latent.fit(codes)
    assert not latent.is_fitted


def test_bad_number_of_components() -> None:
    with pytest.raises(ValueError, match="n_components must be >= 1, got 0"):
        GaussianMixtureLatent(2, n_components=0)
