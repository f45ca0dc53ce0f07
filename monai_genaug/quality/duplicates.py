# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Items that occur twice, within a part of a data set or in two of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations, product
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from monai_genaug.generators.hashing import content_hash
from monai_genaug.metrics.blocks import distance_tiles, row_blocks
from monai_genaug.metrics.checks import check_feature_table
from monai_genaug.quality.duplicate_report import DuplicateKind, DuplicatePair, DuplicateReport, ItemName
from monai_genaug.quality.thumbnails import thumbnail, thumbnail_views

__all__ = ["find_duplicates"]

_QUANTILES = (0.0, 0.01, 0.05, 0.1, 0.25, 0.5)
_MOST_PAIRS = 1_000_000


@torch.no_grad()
def find_duplicates(
    groups: Mapping[str, Tensor | Sequence[Any]],
    near: float = 0.1,
    flips: bool = True,
    features: Mapping[str, Tensor] | None = None,
    feature_near: float = 0.1,
    value_range: tuple[float, float] = (0.0, 1.0),
    progress: bool = False,
) -> DuplicateReport:
    """Exact and near duplicates within and between the parts of a data set.

    Exact ones have equal :func:`content_hash`. Near ones have thumbnails whose distance (:func:`thumbnail`: 0 to 2, by
    the correlation r of coarse images sqrt(2 - 2 r)) is at most ``near``, mirrored ones and, in 2D, those rotated by 90
    degrees included. Every item is read once; memory grows with the thumbnails alone (1 KB per grey image).

    The default of ``near`` is measured (docs/results/duplicates.md). On the 8,548 images of HAM10000, which says
    which ones show one lesion, all 64 pairs within 0.1 do, and all 75 within 0.12; between 0.12 and 0.15 it is 20
    of 30. No two images of PneumoniaMNIST that differ are nearer than 0.181, no two shapes of AdrenalMNIST3D than
    0.199. Copies of 28x28 images with added noise (1 %), less contrast, another gamma (1.2) or JPEG compression
    (quality 75) all lie within 0.1, and 80 % and more of those with quality 30 or resized to 75 % and back. Copies
    that are moved or cropped by one pixel of 28 lie among images that are merely alike: those are not found. Images
    of one ultrasound scan, as in BreastMNIST, do count as near. ``DuplicateReport.nearest`` shows the gap of other
    data.

    Args:
        groups: part of the data set -> channel-first images ``(C, *spatial)``, 2D or 3D; a sequence may load them when
            asked for. All have as many channels; sizes may differ.
        near: in [0, 1). Images without contrast have no near ones.
        flips: compare with mirrored and rotated images too.
        features: part -> features ``(n, d)`` of its items, such as those of a network. Their columns are standardised
            over all parts, then rows have length 1 and distances are between 0 and 2, too.
        feature_near: the same as ``near`` for features; which distance is near depends on them.
        value_range: of floating images, see :func:`content_hash`; integer ones are taken as they are.
        progress: show a progress bar.

    Returns:
        The pairs, and what to make of them.

    Raises:
        ValueError: no items, images or features that are not of this kind, values outside ``value_range``, a threshold
            that is not allowed, or one that makes more than a million pairs.
    """
    for name, value in (("near", near), ("feature_near", feature_near)):
        if not 0 <= value < 1:
            raise ValueError(f"{name} is {value}, allowed: [0, 1).")
    names = [(split, index) for split, items in groups.items() for index in range(len(items))]
    if not names:
        raise ValueError(f"the parts {list(groups)} hold no items.")
    table = None if features is None else _feature_rows(groups, features)
    hashes, thumbnails, views = _read(groups, value_range, progress)
    contents, pairs = _exact(names, hashes)
    contrasted = [content for content in contents if thumbnails[content[0]].any()]
    search = _Search(thumbnails[[content[0] for content in contrasted]], near, "near")
    search.run(list(views.items())[: None if flips else 1], progress)
    pairs += search.pairs(names, contrasted)
    if table is not None:
        feature_search = _Search(table[[content[0] for content in contents]], feature_near, "features")
        feature_search.run([("identity", torch.arange(table.shape[1]))], progress)
        pairs += feature_search.pairs(names, contents)
    sizes = {split: len(items) for split, items in groups.items()}
    return DuplicateReport(sizes, tuple(pairs), near, feature_near, search.quantiles())


def _read(
    groups: Mapping[str, Tensor | Sequence[Any]], value_range: tuple[float, float], progress: bool
) -> tuple[list[str], Tensor, dict[str, Tensor]]:
    """Hash and thumbnail of every item, and the views of such thumbnails."""
    hashes: list[str] = []
    thumbnails: list[Tensor] = []
    kind: tuple[int, int] | None = None
    with tqdm(total=sum(map(len, groups.values())), desc="read images", disable=not progress) as bar:
        for split, items in groups.items():
            for index in range(len(items)):
                image = torch.as_tensor(items[index])
                _check_image(image, f"item {index} of {split!r}", kind, value_range)
                kind = (len(image), image.ndim - 1)
                hashes.append(content_hash(image, value_range))
                thumbnails.append(thumbnail(image))
                bar.update()
    assert kind is not None
    return hashes, torch.stack(thumbnails), thumbnail_views(*kind)


def _check_image(image: Tensor, name: str, kind: tuple[int, int] | None, value_range: tuple[float, float]) -> None:
    if image.ndim not in (3, 4) or image.numel() == 0 or image.is_complex():
        raise ValueError(f"{name} is {image.dtype} of shape {tuple(image.shape)}, needed: (C, *spatial), 2D or 3D.")
    if kind is not None and kind != (len(image), image.ndim - 1):
        raise ValueError(f"{name} has {len(image)} channels in {image.ndim - 1}D, the others {kind[0]} in {kind[1]}D.")
    if image.is_floating_point():
        low, high = value_range
        slack = 1e-5 * (high - low)
        if image.min() < low - slack or image.max() > high + slack:
            found = (float(image.min()), float(image.max()))
            raise ValueError(f"{name} has values from {found[0]:g} to {found[1]:g}, value_range is {value_range}.")


def _exact(names: Sequence[ItemName], hashes: Sequence[str]) -> tuple[list[list[int]], list[DuplicatePair]]:
    """The first item of every content in each split that has it, and the exact pairs."""
    first: dict[str, dict[str, int]] = {}
    pairs: list[DuplicatePair] = []
    for index, (name, digest) in enumerate(zip(names, hashes, strict=True)):
        known = first.setdefault(digest, {})
        if name[0] in known:
            pairs.append(DuplicatePair("exact", names[known[name[0]]], name))
        else:
            known[name[0]] = index
    contents = [list(known.values()) for known in first.values()]
    for content in contents:
        pairs += [DuplicatePair("exact", names[a], names[b]) for a, b in combinations(content, 2)]
    return contents, pairs


class _Search:
    """Finds the rows of a table that are near to each other, some of them changed.

    Args:
        table: ``(n, d)``, rows of length 1, one per content.
        near: largest distance.
        kind: of the pairs.
    """

    def __init__(self, table: Tensor, near: float, kind: DuplicateKind) -> None:
        self.table, self.near, self.kind = table, near, kind
        self.nearest = torch.full((len(table),), torch.inf, dtype=torch.float64)
        """Squared distance of every row to the nearest other one."""
        self._found: dict[tuple[int, int], tuple[float, str]] = {}

    def run(self, orders: Sequence[tuple[str, Tensor]], progress: bool) -> None:
        """Compares all rows with all others in several views; of those of a pair, the nearest one counts."""
        with tqdm(total=len(self.table), desc=f"compare ({self.kind})", disable=not progress) as bar:
            for rows, _ in row_blocks(self.table):
                for view, order in orders:
                    self._compare(rows, view, order)
                bar.update(rows.stop - rows.start)

    def pairs(self, names: Sequence[ItemName], contents: Sequence[Sequence[int]]) -> list[DuplicatePair]:
        """What was found, by distance.

        Args:
            names: of all items.
            contents: for every row the items that it stands for.
        """
        found = sorted(self._found.items(), key=lambda entry: (entry[1][0], entry[0]))
        return [
            DuplicatePair(self.kind, names[a], names[b], squared**0.5, view)
            for (row, col), (squared, view) in found
            for a, b in product(contents[row], contents[col])
        ]

    def quantiles(self) -> dict[float, float]:
        """Of the distances to the nearest other row; empty for fewer than two rows."""
        if len(self.table) < 2:
            return {}
        values = torch.quantile(self.nearest.sqrt(), torch.tensor(_QUANTILES, dtype=torch.float64))
        return dict(zip(_QUANTILES, values.tolist(), strict=True))

    def _compare(self, rows: slice, view: str, order: Tensor) -> None:
        """Compares a block of rows, changed, with all later rows."""
        for here, there, squared in self._tiles(rows, order):
            self.nearest[here] = torch.minimum(self.nearest[here], squared.amin(dim=1))
            self.nearest[there] = torch.minimum(self.nearest[there], squared.amin(dim=0))
            for row, col in (squared <= self.near**2).nonzero().tolist():
                self._note(here.start + row, there.start + col, float(squared[row, col]), view)

    def _tiles(self, rows: slice, order: Tensor) -> Iterator[tuple[slice, slice, Tensor]]:
        later = self.table[rows.start :]
        for here, there, squared in distance_tiles(self.table[rows][:, order], later, torch.zeros(later.shape[1])):
            # both count from the start of the block, which is one tile high
            if here.start == there.start:
                squared[torch.ones_like(squared, dtype=torch.bool).tril()] = torch.inf
            yield rows, slice(rows.start + there.start, rows.start + there.stop), squared

    def _note(self, row: int, col: int, squared: float, view: str) -> None:
        if (row, col) not in self._found or squared < self._found[row, col][0]:
            self._found[row, col] = (squared, view)
        if len(self._found) > _MOST_PAIRS:
            raise ValueError(f"more than {_MOST_PAIRS:,} {self.kind} pairs: a distance of {self.near} is too large.")


def _feature_rows(groups: Mapping[str, Tensor | Sequence[Any]], features: Mapping[str, Tensor]) -> Tensor:
    """Standardised features of all items, rows of length 1."""
    sizes = {split: len(items) for split, items in groups.items()}
    given = {split: len(table) for split, table in features.items()}
    if sizes != given:
        raise ValueError(f"features are given for {given} items, needed: {sizes}.")
    used = [features[split] for split in groups if len(features[split])]
    columns = {table.shape[1:] for table in used}
    if len(columns) > 1:
        raise ValueError(f"features of the parts have shapes {sorted(map(tuple, columns))}, needed: one size.")
    table = torch.cat(used).detach().cpu()
    check_feature_table(table, "the given", at_least=1)
    table = table.double() - table.double().mean(dim=0)
    deviation = table.square().mean(dim=0).sqrt()
    table = table / torch.where(deviation > 0, deviation, 1.0)
    length = table.norm(dim=1, keepdim=True)
    return (table / torch.where(length > 0, length, 1.0)).float()
