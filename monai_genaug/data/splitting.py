# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Splits of a data list in which nobody is in two parts."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, TypeVar

from monai_genaug.generators.class_labels import plain_label
from monai_genaug.generators.seeding import derive_seed

__all__ = ["check_disjoint", "split_by_subject"]

_Item = TypeVar("_Item")
SubjectOf = str | Callable[[Any], Hashable]


def split_by_subject(
    items: Sequence[_Item],
    subject: SubjectOf,
    fractions: Sequence[float] = (0.7, 0.15, 0.15),
    seed: int = 0,
    stratify: SubjectOf | None = None,
) -> list[list[_Item]]:
    """Splits items so that all items of a subject are in the same part (scikit-learn's ``GroupShuffleSplit``).

    Args:
        items: the data list.
        subject: the key under which an item names its subject, or a function from an item to its subject.
        fractions: share of the **subjects** in each part, adding up to 1; numbers of subjects are rounded.
        seed: the same seed gives the same parts for the same items in the same order.
        stratify: key or function that gives an item's class; the subjects of each class (that of their most frequent
            label) are then split separately, so that every part gets about its share of each class.

    Returns:
        One list per fraction; items keep their order.

    Raises:
        ValueError: fractions that are not allowed, an item without subject, or too few subjects for that many parts.
    """
    _check_fractions(fractions)
    subjects = _subjects(items, subject)
    numbers = {name: number for number, name in enumerate(dict.fromkeys(subjects))}
    strata: dict[Any, list[int]] = {}
    if stratify is None:
        strata[None] = list(range(len(items)))
    else:
        classes = _majority(subjects, [plain_label(_value(item, stratify)) for item in items])
        for index, name in enumerate(subjects):
            strata.setdefault(classes[name], []).append(index)
    part_of = [0] * len(items)
    for label, indices in strata.items():
        groups = [numbers[subjects[index]] for index in indices]
        if len(set(groups)) < len(fractions):
            where = "" if stratify is None else f" of class {label!r}"
            raise ValueError(f"{len(set(groups))} subjects{where} cannot fill {len(fractions)} parts.")
        split_seed = derive_seed("split_by_subject", seed, repr(label)) % 2**32
        for index, part in zip(indices, _part_numbers(groups, fractions, split_seed), strict=True):
            part_of[index] = part
    parts: list[list[_Item]] = [[] for _ in fractions]
    for item, part in zip(items, part_of, strict=True):
        parts[part].append(item)
    check_disjoint(parts, subject)
    return parts


def check_disjoint(parts: Sequence[Sequence[Any]], subject: SubjectOf) -> None:
    """Checks that no subject is in two parts.

    Args:
        parts: data lists, for example training, validation and test.
        subject: the key under which an item names its subject, or a function from an item to its subject.

    Raises:
        ValueError: subjects that are in two parts (named), or an item without subject.
    """
    first: dict[Hashable, int] = {}
    shared: dict[Hashable, set[int]] = {}
    for number, part in enumerate(parts):
        for name in _subjects(part, subject):
            if first.setdefault(name, number) != number:
                shared.setdefault(name, {first[name]}).add(number)
    if shared:
        shown = ", ".join(f"{name!r} in parts {sorted(numbers)}" for name, numbers in list(shared.items())[:5])
        raise ValueError(f"{len(shared)} subjects are in more than one part: {shown}{', ...' * (len(shared) > 5)}.")


def _part_numbers(groups: Sequence[int], fractions: Sequence[float], seed: int) -> list[int]:
    """Part of each item: parts are split off one after the other, the last one keeps the rest."""
    from sklearn.model_selection import GroupShuffleSplit

    last = len(fractions) - 1
    parts = [last] * len(groups)
    left, n_groups, n_taken = list(range(len(groups))), len(set(groups)), 0
    for part in range(last):
        wanted = round(sum(fractions[: part + 1]) * n_groups) - n_taken
        wanted = min(max(wanted, 1), n_groups - n_taken - (last - part))  # every part gets a subject
        splitter = GroupShuffleSplit(n_splits=1, train_size=wanted, random_state=seed)
        taken, rest = next(splitter.split(left, groups=[groups[index] for index in left]))
        for position in taken:
            parts[left[position]] = part
        left, n_taken = [left[position] for position in rest], n_taken + wanted
    return parts


def _check_fractions(fractions: Sequence[float]) -> None:
    if len(fractions) < 2 or min(fractions) <= 0 or abs(sum(fractions) - 1) > 1e-6:
        raise ValueError(f"fractions are {tuple(fractions)}, allowed: two or more above 0 that add up to 1.")


def _value(item: Any, key: SubjectOf) -> Any:
    if callable(key):
        return key(item)
    if not isinstance(item, Mapping) or key not in item:
        raise ValueError(f"an item has no key {key!r}: {str(item)[:120]}")
    return item[key]


def _subjects(items: Sequence[Any], subject: SubjectOf) -> list[Hashable]:
    names = [_value(item, subject) for item in items]
    for item, name in zip(items, names, strict=True):
        if name is None or not isinstance(name, Hashable):
            raise ValueError(f"the subject of an item is {name!r}, a hashable name is needed: {str(item)[:120]}")
    return names


def _majority(subjects: Sequence[Hashable], labels: Sequence[Any]) -> dict[Hashable, Any]:
    """The most frequent label of each subject; of equally frequent ones the one that comes first."""
    seen: dict[Hashable, dict[Any, int]] = {}
    for name, label in zip(subjects, labels, strict=True):
        counts = seen.setdefault(name, {})
        counts[label] = counts.get(label, 0) + 1
    return {name: max(counts, key=counts.__getitem__) for name, counts in seen.items()}
