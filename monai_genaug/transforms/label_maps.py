# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Classes and mask values as items write them, and as the generator does."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any, Literal

import torch
from torch import Tensor

from monai_genaug._help import docs_link
from monai_genaug.generators.class_labels import ClassLabel, plain_label
from monai_genaug.generators.spec import GeneratorSpec, OutputSpec

__all__: list[str] = []

LabelMap = Mapping[Any, ClassLabel] | Literal["identity"] | None

_HISTOGRAM_LIMIT = 2**16


class _ClassMap:
    """Class labels of items -> class ids of the generator.

    A string matches the generator's class of that name. An integer means something else in every data set (0 is
    malignant in one and benign in another), so it needs ``class_map``: item value -> class, or ``"identity"``.

    Raises:
        ValueError: a map for a generator without classes, or one to a class that it doesn't have.
    """

    def __init__(self, spec: GeneratorSpec, class_map: LabelMap) -> None:
        _check_map(class_map, "class_map")
        if class_map is not None and spec.classes is None:
            raise ValueError(f"class_map={class_map!r} was given, but generator {spec.name!r} has no classes.")
        self._spec_name = spec.name
        self._classes = dict(spec.classes or {})
        self._identity = class_map == "identity"
        self._ids: dict[ClassLabel, int] = {}
        if isinstance(class_map, Mapping):
            self._ids = {plain_label(k): _id_of(v, self._classes, "class_map") for k, v in class_map.items()}

    def class_id(self, label: Any) -> int:
        """The generator's id of an item's label (an int, a str, or an array or tensor of one).

        Raises:
            ValueError: a label that is not covered; the text names it and the allowed ones.
        """
        value = plain_label(label)
        found = self.find(value)
        if found is None:
            mapped = f", and through class_map: {sorted(map(repr, self._ids))}" if self._ids else ""
            hint = (
                ""
                if mapped or self._identity or isinstance(value, str)
                else (
                    "; integers mean something else in every data set, so give class_map={item value: class name} "
                    f"or class_map='identity', see {docs_link('how_to/matching_items', 'classes')}"
                )
            )
            raise ValueError(
                f"class label {value!r} does not name a class of generator {self._spec_name!r}, allowed: "
                f"{_listed(self._classes)}{mapped}{hint}."
            )
        return found

    def find(self, value: ClassLabel) -> int | None:
        """The generator's id of a plain label, None where it is not covered."""
        for key in (value, str(value)):  # the keys of a map from a JSON file are strings
            if key in self._ids:
                return self._ids[key]
        for number, name in self._classes.items():
            if name == value or (self._identity and str(number) == str(value)):
                return number
        return None


class _MaskMap:
    """Mask values of items <-> labels ``0..n-1`` of a generator's mask output.

    Args:
        output: the mask output.
        mask_map: item value -> class name or label of the generator, for every class of it. None and ``"identity"``:
            the values are the same.

    Raises:
        ValueError: a map that names an unknown class or leaves one out.
    """

    def __init__(self, output: OutputSpec, mask_map: LabelMap) -> None:
        _check_map(mask_map, "mask_map")
        low, high = (int(v) for v in output.value_range)
        names = output.class_names or tuple(str(n) for n in range(low, high + 1))
        self._labels = {low + n: name for n, name in enumerate(names)}
        self._to_generator: dict[int, int] | None = None
        self._to_item = {label: label for label in self._labels}
        if not isinstance(mask_map, Mapping):
            return
        self._to_generator = {int(k): _id_of(v, self._labels, "mask_map") for k, v in mask_map.items()}
        missing = {n: name for n, name in self._labels.items() if n not in self._to_generator.values()}
        if missing:
            raise ValueError(f"mask_map has no item value for the generator's class {_listed(missing)}.")
        self._to_item |= {
            label: value for value, label in reversed(self._to_generator.items())
        }  # of several, the first

    @property
    def background(self) -> int:
        """The item's value of the generator's lowest label."""
        return next(iter(self._to_item.values()))

    def check(self, mask: Tensor, key: Any) -> None:
        """Refuses a mask, of any shape, with values that the generator doesn't have.

        Raises:
            ValueError: it names the values and the allowed ones.
        """
        allowed = set(self._labels if self._to_generator is None else self._to_generator)
        low, high = torch.stack(torch.aminmax(mask)).tolist()
        whole = not mask.dtype.is_floating_point or not bool(mask.frac().any())
        if whole and high - low < len(allowed) and allowed.issuperset(range(int(low), int(high) + 1)):
            return
        values = _histogram(mask) if whole and low >= 0 and high < _HISTOGRAM_LIMIT else torch.unique(mask).tolist()
        unknown = [value for value in values if value not in allowed]
        if unknown:
            raise ValueError(
                f"mask {key!r} has the values {unknown[:10]}, allowed: {sorted(allowed)}; the generator's labels are "
                f"{_listed(self._labels)}; mask_map={{item value: class name}} translates other values, see "
                f"{docs_link('how_to/matching_items', 'mask-values')}."
            )

    def to_generator(self, mask: Tensor) -> Tensor:
        """A checked item mask with the generator's labels."""
        return mask if self._to_generator is None else _replaced(mask, self._to_generator)

    def to_item(self, mask: Tensor) -> Tensor:
        """A generated mask with the item's values; of several that mean the same class, the first."""
        if self._to_generator is None:
            return mask
        table = torch.tensor(list(self._to_item.values()), device=mask.device)
        return table.index_select(0, mask.flatten().int() - min(self._labels)).view(mask.shape)

    def keep(self, mask: Tensor, item: Tensor) -> None:
        """Writes the item's own values into ``mask`` where several mean the class that it has there."""
        if self._to_generator is not None:
            same = self.to_generator(mask.as_subclass(Tensor)) == self.to_generator(item.as_subclass(Tensor))
            mask.as_subclass(Tensor)[same] = item.as_subclass(Tensor)[same]


def _histogram(mask: Tensor) -> list[int]:
    """The values of a mask of small whole numbers; many times faster than by sorting."""
    values: list[int] = torch.bincount(mask.flatten().int()).nonzero().flatten().tolist()
    return values


def _replaced(mask: Tensor, table: Mapping[int, int]) -> Tensor:
    source = mask.to(torch.int64)
    result = source.clone()
    for old, new in table.items():
        result[source == old] = new
    return result


def _check_map(value: Any, name: str) -> None:
    if value is not None and value != "identity" and not (isinstance(value, Mapping) and value):
        raise ValueError(f"{name} is {value!r}, allowed: None, 'identity' or a mapping that is not empty.")


def _id_of(label: Any, classes: Mapping[int, str], what: str) -> int:
    value = plain_label(label)
    for number, name in classes.items():
        if value in (name, number):
            return number
    raise ValueError(f"{what}: class {value!r} is unknown, allowed: {_listed(classes)}.")


def _listed(classes: Mapping[int, str]) -> str:
    return ", ".join(f"{number} ({name!r})" for number, name in classes.items())


def _check_class_key(class_key: Hashable | None, spec: GeneratorSpec, needed: bool = False) -> None:
    """Refuses a missing class key where classes are needed, and one that nothing would read."""
    if class_key is None and (needed or spec.classes is not None):
        raise ValueError(
            f"class_key is None, but prob depends on the class or generator {spec.name!r} has the classes "
            f"{spec.classes}: give the key of the item's class."
        )
    if class_key is not None and not needed and spec.classes is None:
        raise ValueError(f"class_key={class_key!r} was given, but generator {spec.name!r} has no classes.")


def _item_label(item: Mapping[Hashable, Any], class_key: Hashable | None) -> Any:
    """The item's class label, None without ``class_key``."""
    if class_key is None:
        return None
    if class_key not in item:
        raise KeyError(f"class_key {class_key!r} is not in the item, allowed: {list(item)}.")
    return item[class_key]
