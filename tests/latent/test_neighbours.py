# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
import torch

from monai_genaug.latent import neighbours
from monai_genaug.latent.draws import standard_normal
from monai_genaug.latent.neighbours import nearest_distances, neighbour_spread, squared_distances


def test_squared_distances() -> None:
    a, b = standard_normal(range(5), 3), standard_normal(range(5, 12), 3)
    torch.testing.assert_close(squared_distances(a, b), torch.cdist(a, b).square())
    assert (squared_distances(1e3 * a, 1e3 * a) >= 0).all()


@pytest.mark.parametrize("block", [1, 50, 10**6])
def test_nearest_distances_in_blocks(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbours, "_CHUNK_ELEMENTS", block)
    a, b = standard_normal(range(20), 3), standard_normal(range(20, 29), 3)
    full = torch.cdist(a, a) + torch.diag(torch.full((20,), torch.inf, dtype=torch.float64))
    torch.testing.assert_close(nearest_distances(a), full.amin(dim=1))
    torch.testing.assert_close(nearest_distances(a, b), torch.cdist(a, b).amin(dim=1))


def test_spread_has_the_length_of_the_nearest_neighbour_distance() -> None:
    codes = standard_normal(range(30), 4) * torch.tensor([1.0, 2.0, 3.0, 0.0])
    spread = neighbour_spread(torch.cat([codes, codes[:1]]))  # a repeated code does not count
    positive = nearest_distances(torch.cat([codes, codes[:1]]))
    assert spread.norm() == pytest.approx(float(positive[positive > 0].median()))
    assert spread[3] == 0.0
    assert spread[0] < spread[1] < spread[2]
