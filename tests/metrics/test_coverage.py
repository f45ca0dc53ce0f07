# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.neighbors import NearestNeighbors

from monai_genaug.metrics import density_and_coverage


def test_equals_a_computation_with_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    real, fake, k = rng.normal(size=(60, 5)), rng.normal(size=(45, 5)) * 0.7, 4
    radii = NearestNeighbors(n_neighbors=k + 1).fit(real).kneighbors(real)[0][:, -1]
    inside = [[np.linalg.norm(r - f) < radius for f in fake] for r, radius in zip(real, radii, strict=True)]
    density, coverage = density_and_coverage(torch.from_numpy(real), torch.from_numpy(fake), k=k)
    assert density == pytest.approx(np.sum(inside) / (k * len(fake)))
    assert coverage == pytest.approx(np.mean(np.any(inside, axis=1)))


def test_a_collapsed_set_covers_little_and_a_copy_covers_all() -> None:
    real = torch.randn(80, 4, generator=torch.Generator().manual_seed(0))
    assert density_and_coverage(real, real.clone())[1] == 1.0
    assert density_and_coverage(real, real[:1].repeat(80, 1) + 1e-3)[1] < 0.2


def test_bad_k_is_refused() -> None:
    with pytest.raises(ValueError, match="k is 0"):
        density_and_coverage(torch.zeros(9, 2), torch.zeros(9, 2), k=0)
    with pytest.raises(ValueError, match="too few for k=5"):
        density_and_coverage(torch.zeros(5, 2), torch.zeros(9, 2), k=5)
