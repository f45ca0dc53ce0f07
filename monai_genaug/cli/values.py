# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Values that commands are given as text."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from monai_genaug.generators.class_labels import ClassLabel

__all__ = ["classes_given", "plan_given", "seeds_given"]

_MOST_SEEDS = 10_000


def seeds_given(text: str) -> list[int]:
    """``"0:16"`` (16 is not in it) and ``"1,2,3"``, or both: ``"0:4,10"``.

    Raises:
        ValueError: another text, or more than 10,000 seeds.
    """
    seeds: list[int] = []
    for part in text.split(","):
        found = re.fullmatch(r"\s*(\d+)(?::(\d+))?\s*", part)
        if found is None:
            raise ValueError(f"seeds are {text!r}, needed: numbers such as 1,2,3 or a range such as 0:16.")
        first = int(found[1])
        last = first + 1 if found[2] is None else int(found[2])
        if len(seeds) + last - first > _MOST_SEEDS:
            raise ValueError(f"seeds are {text!r}, allowed: {_MOST_SEEDS} seeds.")
        seeds += range(first, last)
    if not seeds:
        raise ValueError(f"seeds are {text!r}, which are none.")
    return seeds


def classes_given(names: Sequence[str], known: Mapping[int, str] | None) -> list[ClassLabel]:
    """Classes by their names or, where no name is such a number, by their ids."""
    return [int(name) if name.isdecimal() and name not in (known or {}).values() else name for name in names]


def plan_given(count: int | None, parts: Sequence[str], known: Mapping[int, str] | None) -> int | dict[ClassLabel, int]:
    """The plan of a pool: a number of items, or {class: number}.

    Args:
        count: items; of a generator with classes, of each class.
        parts: texts such as ``"malignant=100"``.
        known: class id -> name; None without classes.

    Raises:
        ValueError: both or neither of the two, or a text that is no class, = and number.
    """
    if (count is None) == (not parts):
        raise ValueError("needed: either --count or --plan class=count, once per class.")
    if count is not None:
        return count if known is None else dict.fromkeys(known, count)
    plan: dict[ClassLabel, int] = {}
    for part in parts:
        name, equals, number = part.rpartition("=")
        if not (name and equals and number.isdecimal()):
            raise ValueError(f"plan has {part!r}, needed: class=count.")
        (label,) = classes_given([name], known)
        if label in plan:
            raise ValueError(f"plan names {name!r} twice.")
        plan[label] = int(number)
    return plan
