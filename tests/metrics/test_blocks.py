# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
import torch

from monai_genaug.metrics.blocks import distance_tiles, mean_row, product_tiles, row_blocks
from tests.metrics.feature_sets import feature_sets

MANY = (1100, 600, 3)  # three and two tiles


def _assembled(tiles, shape: tuple[int, int]) -> torch.Tensor:
    """The tiles as one matrix; NaN where none came, an error where two came."""
    whole = torch.full(shape, torch.nan, dtype=torch.float64)
    for rows, cols, tile in tiles:
        assert tile.dtype == torch.float64
        assert bool(whole[rows, cols].isnan().all())
        whole[rows, cols] = tile
    return whole


def test_products_of_two_tables() -> None:
    x, y = feature_sets(*MANY)
    found = _assembled(product_tiles(x, y), (1100, 600))
    torch.testing.assert_close(found, x.double() @ y.double().T, rtol=0, atol=1e-12)


def test_products_of_a_table_with_itself_are_the_upper_triangle() -> None:
    x, _ = feature_sets(*MANY)
    found = _assembled(product_tiles(x), (1100, 1100))
    upper = torch.ones(1100, 1100).triu().bool()
    torch.testing.assert_close(found[upper], (x.double() @ x.double().T)[upper], rtol=0, atol=1e-12)
    assert 0 < int(found.isnan().sum()) < 1100**2 / 2


@pytest.mark.parametrize("offset", [0.0, 1000.0])
def test_distances(offset: float) -> None:
    x, y = (features.double() + offset for features in feature_sets(*MANY))
    found = _assembled(distance_tiles(x, y, mean_row(x)), (1100, 600))
    exact = torch.cdist(x, y, compute_mode="donot_use_mm_for_euclid_dist").square()
    torch.testing.assert_close(found, exact, rtol=1e-9, atol=1e-9)


def test_equal_rows_have_no_distance_wherever_they_stand() -> None:
    x, _ = feature_sets(700, 2, 200)
    order = torch.arange(699, -1, -1)
    found = _assembled(distance_tiles(x, x[order], mean_row(x)), (700, 700))[:, order]
    assert not bool(found.diagonal().any())
    assert bool((found + torch.eye(700) > 0).all())


def test_blocks_are_few_rows_of_many_columns() -> None:
    sizes = [len(block) for _, block in row_blocks(torch.zeros(200, 100_000))]
    assert sizes == [64, 64, 64, 8]


def test_mean_is_summed_in_float64() -> None:
    features = torch.full((3000, 1), 0.1, dtype=torch.float32)
    assert float(mean_row(features)) == pytest.approx(float(features[0].double()), rel=1e-14)
