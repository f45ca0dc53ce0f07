# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
import torch

from monai_genaug.quality.nearest import mirrored, nearest_items


def table(count: int, seed: int, width: int = 5) -> torch.Tensor:
    return torch.randn(count, width, generator=torch.Generator().manual_seed(seed))


def test_neighbours_are_those_of_a_full_distance_matrix() -> None:
    queries, references = table(70, 0), table(600, 1)
    found = nearest_items(queries, references, 4)
    expected = torch.cdist(queries.double(), references.double()).topk(4, largest=False)
    assert torch.allclose(found.distances, expected.values)
    assert torch.equal(found.indices, expected.indices)


def test_the_smallest_distance_over_all_variants_counts() -> None:
    queries, references = [table(9, 0), table(9, 2)], [table(20, 1), table(20, 3)]
    found = nearest_items(queries, references, 2)
    every = torch.stack([torch.cdist(q.double(), r.double()) for q in queries for r in references])
    assert torch.allclose(found.distances, every.amin(dim=0).topk(2, largest=False).values)


def test_items_of_one_group_are_no_neighbours() -> None:
    items, group = table(12, 0), torch.arange(12) // 3
    found = nearest_items(items, items, 9, groups=(group, group))
    assert not (group[found.indices] == group[:, None]).any()
    more = nearest_items(items, items, 10, groups=(group, group))
    assert more.distances[:, 9].isinf().all()
    assert (more.indices[:, 9] == -1).all()


def test_mirrored_images_come_with_each_axis_turned() -> None:
    images = torch.rand(2, 1, 3, 4, 5)
    views = mirrored(images)
    assert len(views) == 4
    assert torch.equal(views[0], images)
    assert torch.equal(views[2][:, :, :, 0], images[:, :, :, 3])


@pytest.mark.parametrize(
    ("queries", "references", "k", "complaint"),
    [
        (table(3, 0), table(4, 1, 6), 1, "one feature size"),
        (table(3, 0), table(4, 1), 5, "k is 5, allowed with 4 references: 1 to 4"),
        (table(3, 0), table(4, 1), 0, "k is 0"),
        ([table(3, 0), table(4, 0)], table(4, 1), 1, "variants of query features"),
        ([], table(4, 1), 1, "no table of query features"),
        (table(3, 0) * torch.nan, table(4, 1), 1, "NaN"),
    ],
)
def test_tables_that_cannot_be_compared_are_refused(queries, references, k, complaint) -> None:
    with pytest.raises(ValueError, match=complaint):
        nearest_items(queries, references, k)


def test_groups_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match=r"groups have shapes .* needed: \(3,\) and \(4,\)"):
        nearest_items(table(3, 0), table(4, 1), groups=(torch.arange(3), torch.arange(3)))
