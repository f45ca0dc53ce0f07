# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Real and synthetic items in one data set, each saying which it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from math import floor
from typing import Any

import numpy as np
from torch.utils.data import Dataset

from monai_genaug.data.collating import _fit_to, _prototype
from monai_genaug.data.random_states import _base_seed, _seed_dataset
from monai_genaug.generators.seeding import derive_seed

__all__ = ["MarkedDataset", "MixedDataset", "mix_concatenate", "mix_interleave"]

SYNTHETIC_KEY = "is_synthetic"


class MarkedDataset(Dataset[Any]):
    """A data set of dictionaries whose items all say whether they are synthetic.

    An item that already says so, because a generative transform stands in its chain, is left as it is.

    Args:
        dataset: gives dictionaries, or lists of them (crops).
        is_synthetic: what to write.
    """

    def __init__(self, dataset: Dataset[Any] | Sequence[Any], is_synthetic: bool = False) -> None:
        self.dataset = dataset
        self.is_synthetic = bool(is_synthetic)

    def __len__(self) -> int:
        return len(self.dataset)  # type: ignore[arg-type]

    def __getitem__(self, index: int) -> Any:
        return _each(self.dataset[index], lambda item: {SYNTHETIC_KEY: self.is_synthetic, **item})

    def set_random_state(self, seed: int | None = None, state: np.random.RandomState | None = None) -> MarkedDataset:
        """Seeds the random transforms of the data set, also where MONAI's own seeding stops at its surface."""
        _seed_dataset(self.dataset, _base_seed(seed, state))
        return self


class MixedDataset(Dataset[Any]):
    """Items of several data sets in a given order, made alike so that they collate in any order.

    Every item keeps the keys that the first item of each member has in common, and takes the types of the first
    member's (the real data's): array or tensor, dtype, and int, str, array or tensor for labels. One item of each
    member is read when constructed. ``set_random_state``, which MONAI's ``DataLoader`` calls in every worker, gives
    each member a seed of its own (a plain ``ConcatDataset`` gives all the same: equal random augmentations).

    Args:
        members: data sets of dictionaries that have ``is_synthetic``, the real one first.
        order: (member, index in it) of each item.
        keys: what items keep; None for all that the members have in common.

    Raises:
        ValueError: members without items or common keys, a key that is not in all of them, or types that don't fit.
    """

    def __init__(
        self,
        members: Sequence[Dataset[Any] | Sequence[Any]],
        order: Sequence[tuple[int, int]],
        keys: Sequence[str] | None = None,
    ) -> None:
        self.members = tuple(members)
        self.order = tuple(order)
        firsts = [_first_item(member, number) for number, member in enumerate(self.members)]
        self.keys = _common_keys(firsts, keys)
        self.template = {key: _prototype(firsts[0][key]) for key in self.keys}
        for first in firsts:
            self._alike(first)

    def __len__(self) -> int:
        return len(self.order)

    def __getitem__(self, index: int) -> Any:
        member, position = self.order[index]
        return _each(self.members[member][position], self._alike)

    def set_random_state(self, seed: int | None = None, state: np.random.RandomState | None = None) -> MixedDataset:
        """Seeds the random transforms of the members, each differently."""
        base = _base_seed(seed, state)
        for number, member in enumerate(self.members):
            _seed_dataset(member, derive_seed("member", base, number))
        return self

    def _alike(self, item: dict[str, Any]) -> dict[str, Any]:
        return {key: _fit_to(item[key], self.template[key], key) for key in self.keys}


def mix_concatenate(
    real: Dataset[Any] | Sequence[Any], *synthetic: Dataset[Any] | Sequence[Any], keys: Sequence[str] | None = None
) -> MixedDataset:
    """All real items, then all synthetic ones; for training with shuffling or a sampler.

    Args:
        real: data set of dictionaries; its items get ``is_synthetic`` False unless they say otherwise.
        synthetic: one or several data sets, usually ``SyntheticDataset``; their items get True likewise.
        keys: what items keep; None for all that real and synthetic ones have in common.

    Raises:
        ValueError: see :class:`MixedDataset`; no synthetic data set.
    """
    if not synthetic:
        raise ValueError("mix_concatenate got no synthetic data set.")
    members = [MarkedDataset(real, False), *(MarkedDataset(dataset, True) for dataset in synthetic)]
    order = [(number, index) for number, member in enumerate(members) for index in range(len(member))]
    return MixedDataset(members, order, keys)


def mix_interleave(
    real: Dataset[Any] | Sequence[Any],
    synthetic: Dataset[Any] | Sequence[Any],
    ratio: float = 1.0,
    keys: Sequence[str] | None = None,
) -> MixedDataset:
    """Real items with ``ratio`` synthetic ones between each and the next: every stretch of the data set is mixed alike.

    After k real items there have been floor(ratio * k) synthetic ones. They are taken at equal distances from all of
    ``synthetic``, which is sorted by class: fewer than it has keep the proportions of its classes.

    Args:
        real: data set of dictionaries; its items get ``is_synthetic`` False unless they say otherwise.
        synthetic: a data set with at least floor(ratio * len(real)) items, which get True likewise.
        ratio: synthetic items per real one, above 0.
        keys: what items keep; None for all that real and synthetic ones have in common.

    Raises:
        ValueError: see :class:`MixedDataset`; a ratio that is not allowed or needs more synthetic items than there are.
    """
    if not 0 < ratio < float("inf"):
        raise ValueError(f"ratio is {ratio!r}, allowed: finite and above 0.")
    members = [MarkedDataset(real, False), MarkedDataset(synthetic, True)]
    n_real, n_synthetic, share = len(members[0]), len(members[1]), Fraction(str(ratio))
    wanted = floor(share * n_real)
    if wanted > n_synthetic:
        raise ValueError(f"ratio {ratio} needs {wanted} synthetic items, there are {n_synthetic}.")
    order: list[tuple[int, int]] = []
    for index in range(n_real):
        order.append((0, index))
        order.extend((1, k * n_synthetic // wanted) for k in range(floor(share * index), floor(share * (index + 1))))
    return MixedDataset(members, order, keys)


def _each(item: Any, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Any:
    """Applies ``change`` to an item, or to each of a list of crops."""
    for crop in item if isinstance(item, list) else [item]:
        if not isinstance(crop, dict):
            raise TypeError(f"an item of the data set is {type(crop).__name__}, a dictionary is needed.")
    return [change(crop) for crop in item] if isinstance(item, list) else change(item)


def _first_item(member: Any, number: int) -> dict[str, Any]:
    if len(member) == 0:
        raise ValueError(f"data set {number} of the mixture is empty.")
    item = member[0]
    first: dict[str, Any] = item[0] if isinstance(item, list) else item
    return first


def _common_keys(firsts: Sequence[dict[str, Any]], keys: Sequence[str] | None) -> tuple[str, ...]:
    common = [key for key in firsts[0] if all(key in first for first in firsts)]
    listed = [sorted(map(str, first)) for first in firsts]
    if keys is None:
        if set(common) <= {SYNTHETIC_KEY}:
            raise ValueError(f"real and synthetic items have no key in common: {listed}.")
        return tuple(common)
    missing = [key for key in keys if key not in common]
    if missing:
        raise ValueError(f"keys {missing} are not in all members of the mixture, whose keys are {listed}.")
    return tuple(dict.fromkeys([*keys, SYNTHETIC_KEY]))
