# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""The classes of a pool's items, without a list as long as the pool."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate, chain, repeat
from typing import overload

__all__ = ["PlannedClasses"]


class PlannedClasses(Sequence[int]):
    """Class id of every item of a plan, class by class: the list ``[id] * count + ...``, of which nothing is stored.

    Equal to every sequence of the same ids; a slice is a list.

    Args:
        plan: (class id, number of items) in the order of the items.
    """

    def __init__(self, plan: Sequence[tuple[int, int]]) -> None:
        self._plan = tuple(plan)
        self._ends = tuple(accumulate(count for _, count in self._plan))

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    @overload
    def __getitem__(self, index: int) -> int: ...
    @overload
    def __getitem__(self, index: slice) -> list[int]: ...
    def __getitem__(self, index: int | slice) -> int | list[int]:
        items = range(len(self))[index]
        return [self._at(item) for item in items] if isinstance(items, range) else self._at(items)

    def __iter__(self) -> Iterator[int]:
        return chain.from_iterable(repeat(number, count) for number, count in self._plan)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, PlannedClasses) and other._plan == self._plan:
            return True
        if not isinstance(other, Sequence) or isinstance(other, (str, bytes)):
            return NotImplemented
        return len(other) == len(self) and all(mine == theirs for mine, theirs in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"PlannedClasses({self._plan})"

    def _at(self, item: int) -> int:
        return self._plan[bisect_right(self._ends, item)][0]
