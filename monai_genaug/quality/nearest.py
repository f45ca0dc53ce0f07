# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Nearest neighbours between tables of features, also of mirrored items, in blocks of bounded memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from monai_genaug.metrics.blocks import distance_tiles, mean_row
from monai_genaug.metrics.checks import check_feature_table

__all__ = ["NearestItems", "mirrored", "nearest_items"]

Variants = Tensor | Sequence[Tensor]
"""Features ``(n, d)``, or several tables of the same items, such as those of mirrored images."""


@dataclass(frozen=True, eq=False)
class NearestItems:
    """The nearest references of each query, the nearest one first.

    Args:
        distances: ``(n, k)``, float64; infinite where a query has fewer references.
        indices: ``(n, k)``, int64, rows of the references; -1 where there is none.
    """

    distances: Tensor
    indices: Tensor


@torch.no_grad()
def nearest_items(
    queries: Variants, references: Variants, k: int = 1, groups: tuple[Tensor, Tensor] | None = None
) -> NearestItems:
    """Finds the k nearest references of each query by Euclidean distance.

    With several variants of queries or references, the distance of two items is the smallest over all pairs of
    variants. Memory grows with n * k, not with n * m.

    Args:
        queries: ``(n, d)``, or variants of the same n items.
        references: ``(m, d)``, or variants.
        k: how many, at most m.
        groups: a number for each query ``(n,)`` and for each reference ``(m,)``; items with equal numbers are no
            neighbours. ``(arange(n), arange(n))`` leaves out each item itself.

    Raises:
        ValueError: tables that cannot be compared, k out of range, or groups that don't fit.
    """
    query_tables, reference_tables = _tables(queries, "query"), _tables(references, "reference")
    first, other = query_tables[0], reference_tables[0]
    if first.shape[1] != other.shape[1] or first.device != other.device:
        raise ValueError(
            f"queries are {tuple(first.shape)} on {first.device}, references {tuple(other.shape)} on {other.device}: "
            "needed is one feature size on one device."
        )
    if not 1 <= k <= len(other):
        raise ValueError(f"k is {k}, allowed with {len(other)} references: 1 to {len(other)}.")
    if groups is not None and (groups[0].shape != first.shape[:1] or groups[1].shape != other.shape[:1]):
        shapes = [tuple(part.shape) for part in groups]
        raise ValueError(f"groups have shapes {shapes}, needed: ({len(first)},) and ({len(other)},).")
    return _search(query_tables, reference_tables, k, groups)


def mirrored(images: Tensor) -> list[Tensor]:
    """Images ``(n, C, *spatial)`` as they are, and mirrored along each spatial axis."""
    return [images, *(images.flip(axis) for axis in range(2, images.ndim))]


def _search(
    queries: list[Tensor], references: list[Tensor], k: int, groups: tuple[Tensor, Tensor] | None
) -> NearestItems:
    count, device = len(queries[0]), queries[0].device
    distances = torch.full((count, k), torch.inf, dtype=torch.float64, device=device)
    indices = torch.full((count, k), -1, dtype=torch.int64, device=device)
    centre = mean_row(references[0])
    tiles = [distance_tiles(query, reference, centre) for query in queries for reference in references]
    for same_tile in zip(*tiles, strict=True):
        rows, cols, squared = same_tile[0]
        for _, _, variant in same_tile[1:]:
            squared = torch.minimum(squared, variant)
        if groups is not None:
            squared = squared.masked_fill(groups[0][rows, None] == groups[1][None, cols], torch.inf)
        numbers = torch.arange(cols.start, cols.stop, device=device).expand(len(squared), -1)
        known = torch.cat([distances[rows], squared], dim=1)
        distances[rows], places = known.topk(k, dim=1, largest=False, sorted=True)
        indices[rows] = torch.cat([indices[rows], numbers], dim=1).gather(1, places)
    return NearestItems(distances.sqrt(), indices.masked_fill(distances.isinf(), -1))


def _tables(features: Variants, name: str) -> list[Tensor]:
    tables = [features] if isinstance(features, Tensor) else list(features)
    if not tables:
        raise ValueError(f"there is no table of {name} features, needed: 1 and more.")
    for table in tables:
        check_feature_table(table, name, at_least=1)
        if table.shape != tables[0].shape:
            raise ValueError(f"variants of {name} features have shapes {[tuple(t.shape) for t in tables]}: not one.")
    return tables
