# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
import torch

from monai_genaug.metrics import nearest_real_rows


def test_equals_all_distances() -> None:
    rng = torch.Generator().manual_seed(0)
    real, synthetic = torch.randn(700, 5, generator=rng), torch.randn(600, 5, generator=rng)
    rows, distances = nearest_real_rows(real, synthetic)
    expected = torch.cdist(synthetic.double(), real.double())
    assert torch.equal(rows, expected.argmin(dim=1))
    torch.testing.assert_close(distances, expected.amin(dim=1))


def test_a_copy_has_distance_0_and_the_first_of_equal_ones_is_taken() -> None:
    real = torch.randn(6, 3).repeat(2, 1)
    rows, distances = nearest_real_rows(real, real[[4, 7]])
    assert rows.tolist() == [4, 1]
    assert distances.tolist() == [0.0, 0.0]


def test_sets_that_cannot_be_compared_are_refused() -> None:
    with pytest.raises(ValueError, match=r"real features are \(2, 3\) on cpu, synthetic ones \(2, 4\)"):
        nearest_real_rows(torch.zeros(2, 3), torch.zeros(2, 4))
    with pytest.raises(ValueError, match="synthetic features have 0 rows"):
        nearest_real_rows(torch.zeros(2, 3), torch.zeros(0, 3))
