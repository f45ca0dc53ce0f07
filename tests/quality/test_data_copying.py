# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
import torch
from scipy import stats

from monai_genaug.quality.data_copying import data_copying_score


def table(count: int, seed: int) -> torch.Tensor:
    return torch.randn(count, 3, generator=torch.Generator().manual_seed(seed))


def test_in_one_cell_it_is_the_normal_score_of_mann_whitney() -> None:
    samples, train, held_out = table(40, 0), table(80, 1), table(30, 2)
    made, real = (torch.cdist(part, train).amin(dim=1).numpy() for part in (samples, held_out))
    expected = stats.mannwhitneyu(made, real, alternative="less", method="asymptotic", use_continuity=False).pvalue
    assert data_copying_score(samples, train, held_out, n_cells=1) == pytest.approx(stats.norm.ppf(expected), abs=1e-6)


def test_copies_score_low_and_far_samples_high() -> None:
    train, held_out = table(200, 0), table(100, 1)
    assert data_copying_score(train[:100] + 0.01, train, held_out) < -3
    assert data_copying_score(3 * table(100, 3), train, held_out) > 1
    assert abs(data_copying_score(table(100, 4), train, held_out)) < 2.5


def test_parts_that_share_no_cell_score_0() -> None:
    train = torch.cat([table(20, 0), table(20, 1) + 100])
    assert data_copying_score(table(5, 2), train, table(5, 3) + 100, n_cells=2) == 0
