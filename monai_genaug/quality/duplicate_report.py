# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""What a search for duplicates found."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement
from typing import Any, Literal, get_args

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

__all__ = ["DuplicateKind", "DuplicatePair", "DuplicateReport"]

DuplicateKind = Literal["exact", "near", "features"]
ItemName = tuple[str, int]


@dataclass(frozen=True)
class DuplicatePair:
    """Two items that are copies of each other, or nearly so.

    Args:
        kind: ``"exact"`` (equal content), ``"near"`` (by pixels) or ``"features"``.
        first, second: name of the split and index in it.
        distance: 0 for exact copies, otherwise what ``near`` or ``feature_near`` was compared with.
        view: what makes the second item of the first one, such as ``"mirrored"``; ``"identity"`` for nothing.
    """

    kind: DuplicateKind
    first: ItemName
    second: ItemName
    distance: float = 0.0
    view: str = "identity"


@dataclass(frozen=True)
class DuplicateReport:
    """The duplicates within and between splits.

    Args:
        sizes: split -> number of items.
        pairs: exact ones first, then the others by distance. Equal items of one split are each paired with the first
            of them, and the first ones of two splits with each other; only the first ones are compared further.
        near: largest distance of a near pair.
        feature_near: the same of features.
        nearest: quantile -> distance of the first ones to the nearest other one, by pixels: a gap in it shows where
            ``near`` separates copies from images that are merely alike.
    """

    sizes: Mapping[str, int]
    pairs: tuple[DuplicatePair, ...]
    near: float
    feature_near: float
    nearest: Mapping[float, float]

    def between(self, first: str, second: str, kind: DuplicateKind | None = None) -> tuple[DuplicatePair, ...]:
        """The pairs of two splits, or within one; of one kind, or of all.

        Raises:
            ValueError: a split or kind that does not exist.
        """
        for name in (first, second):
            if name not in self.sizes:
                raise ValueError(f"split {name!r} does not exist, allowed: {list(self.sizes)}.")
        if kind is not None and kind not in get_args(DuplicateKind):
            raise ValueError(f"kind is {kind!r}, allowed: {get_args(DuplicateKind)}.")
        return tuple(
            pair
            for pair in self.pairs
            if {pair.first[0], pair.second[0]} == {first, second} and kind in (None, pair.kind)
        )

    def groups(self) -> tuple[tuple[ItemName, ...], ...]:
        """Items that pairs connect, also through others: two or more in each group, in the order of the splits."""
        names = sorted({name for pair in self.pairs for name in (pair.first, pair.second)}, key=self._position)
        number = {name: index for index, name in enumerate(names)}
        rows, cols = ([number[name] for name in side] for side in self._sides())
        graph = coo_array((np.ones(len(rows)), (rows, cols)), shape=(len(names), len(names)))
        count, group_of = connected_components(graph, directed=False) if names else (0, [])
        groups: list[list[ItemName]] = [[] for _ in range(count)]
        for name, group in zip(names, group_of, strict=True):
            groups[group].append(name)
        return tuple(tuple(group) for group in groups)

    def redundant(self, priority: Sequence[str] | None = None) -> dict[str, list[int]]:
        """What to leave out so that one item of every group is left.

        Args:
            priority: all splits, the one that keeps its item first; None for their order. ``("test", "val", "train")``
                leaves published test parts as they are and thins out the training part.

        Returns:
            Split -> indices, rising.

        Raises:
            ValueError: ``priority`` does not name every split once.
        """
        order = list(self.sizes) if priority is None else list(priority)
        if sorted(order) != sorted(self.sizes):
            raise ValueError(f"priority is {order}, needed: each of {list(self.sizes)} once.")
        left_out: dict[str, list[int]] = {name: [] for name in self.sizes}
        for group in self.groups():
            for split, index in sorted(group, key=lambda name: (order.index(name[0]), name[1]))[1:]:
                left_out[split].append(index)
        return {name: sorted(indices) for name, indices in left_out.items()}

    def table(self) -> str:
        """Markdown: for every two splits the number of pairs of each kind, and of the items that are in them."""
        kinds = [kind for kind in get_args(DuplicateKind) if kind != "features" or self._has_features()]
        lines = [f"| | {' | '.join(f'{kind} pairs' for kind in kinds)} | items |", "|---|" + "---|" * (len(kinds) + 1)]
        for first, second in combinations_with_replacement(self.sizes, 2):
            counts = [len(self.between(first, second, kind)) for kind in kinds]
            items = {name for pair in self.between(first, second) for name in (pair.first, pair.second)}
            title = f"within {first}" if first == second else f"{first} and {second}"
            lines.append(f"| {title} | {' | '.join(map(str, counts))} | {len(items)} |")
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Plain dicts, lists, strings and numbers, with the groups."""
        plain: dict[str, Any] = json.loads(json.dumps({**dataclasses.asdict(self), "groups": self.groups()}))
        return plain

    def _position(self, name: ItemName) -> tuple[int, int]:
        return list(self.sizes).index(name[0]), name[1]

    def _sides(self) -> tuple[list[ItemName], list[ItemName]]:
        return [pair.first for pair in self.pairs], [pair.second for pair in self.pairs]

    def _has_features(self) -> bool:
        return any(pair.kind == "features" for pair in self.pairs)
