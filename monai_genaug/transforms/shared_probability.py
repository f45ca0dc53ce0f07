# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""A probability in shared memory: changed in the main process, seen by loader workers that live on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from monai_genaug.generators.class_labels import ClassLabel, plain_label
from monai_genaug.transforms.label_maps import _ClassMap

__all__: list[str] = []


class _SharedProbability:
    """One probability for all items, or one per class.

    Forked and spawned workers, and deep copies, share :attr:`level` with the original.

    Args:
        prob: in [0, 1], or class -> probability; classes that it doesn't name have 0.
        class_map: brings class names to ids, None for a generator without classes: then the keys of ``prob`` are the
            items' own labels.
    """

    def __init__(self, prob: float | Mapping[Any, float], class_map: _ClassMap | None) -> None:
        self._class_map = class_map
        self._per_class: dict[ClassLabel, float] | None = None
        level = 1.0
        if isinstance(prob, Mapping):
            self._per_class = {}
            for label, value in prob.items():
                key = class_map.class_id(label) if class_map else plain_label(label)
                if key in self._per_class:
                    raise ValueError(f"prob names class {key!r} twice: {dict(prob)!r}.")
                self._per_class[key] = _checked(value)
        else:
            level = _checked(prob)
        self._level = torch.tensor(level, dtype=torch.float64).share_memory_()

    def __deepcopy__(self, memo: Any) -> _SharedProbability:
        return self

    @property
    def per_class(self) -> bool:
        """Whether the probability depends on the class."""
        return self._per_class is not None

    @property
    def level(self) -> float:
        """The probability; of one per class, the factor on all of them (1 at first)."""
        return float(self._level)

    @level.setter
    def level(self, value: float) -> None:
        self._level.fill_(_checked(value))

    def of(self, label: Any) -> float:
        """The probability for an item with this label (None: it has none)."""
        if self._per_class is None:
            return self.level
        if label is None:
            return 0.0
        value = plain_label(label)
        key = self._class_map.find(value) if self._class_map else value
        return 0.0 if key is None else self.level * self._per_class.get(key, 0.0)

    def current(self) -> float | dict[ClassLabel, float]:
        """The present probability, or the present ones by class."""
        if self._per_class is None:
            return self.level
        return {label: self.level * value for label, value in self._per_class.items()}


def _checked(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0.0 <= value <= 1.0:
        raise ValueError(f"prob is {value!r}, allowed: numbers from 0 to 1, or {{class: number}}.")
    return float(value)
