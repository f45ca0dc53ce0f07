# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Class labels as users write them (ids, names, arrays of one element) -> the generator's class ids."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from torch import Tensor

from monai_genaug.generators.spec import GeneratorSpec

__all__ = ["ClassLabel", "plain_label", "resolve_class_labels"]

ClassLabel: TypeAlias = int | str


def plain_label(value: Any) -> ClassLabel:
    """A class label as int or str, from an int, str, numpy scalar, or tensor or array of one element.

    Raises:
        ValueError: anything else, an array of several elements, or a number that is not whole.
    """
    if isinstance(value, (Tensor, np.ndarray)):
        if value.size != 1 if isinstance(value, np.ndarray) else value.numel() != 1:
            raise ValueError(f"a class label must have one element, got shape {tuple(value.shape)}.")
        value = value.item()
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, bool) or (isinstance(value, float) and value.is_integer()):
        value = int(value)
    if isinstance(value, (int, str)):
        return value
    raise ValueError(f"a class label must be an int, a str or an array of one whole number, got {value!r}.")


def resolve_class_labels(
    class_label: ClassLabel | Sequence[ClassLabel] | None, count: int, spec: GeneratorSpec
) -> list[int] | None:
    """One class id per sample, or None for an unconditional generator.

    Raises:
        ValueError: labels missing, not wanted, of the wrong number, or unknown; the text names the classes.
    """
    if spec.classes is None:
        if class_label is not None:
            raise ValueError(f"generator {spec.name!r} has no classes, but class_label={class_label!r} was given.")
        return None
    if class_label is None:
        raise ValueError(f"generator {spec.name!r} needs class_label, one of {_listed(spec.classes)}.")
    several = isinstance(class_label, (Sequence, np.ndarray, Tensor)) and not isinstance(class_label, str)
    if several and getattr(class_label, "ndim", 1) > 0:
        labels = list(class_label)  # type: ignore[arg-type]
        if len(labels) != count:
            raise ValueError(f"{len(labels)} class labels for {count} samples: give one, or one per sample.")
    else:
        labels = [class_label] * count  # type: ignore[list-item]
    return [_class_id(plain_label(label), spec) for label in labels]


def _class_id(label: ClassLabel, spec: GeneratorSpec) -> int:
    assert spec.classes is not None
    if isinstance(label, int) and label in spec.classes:
        return label
    for number, name in spec.classes.items():
        if name == label:
            return number
    raise ValueError(f"class {label!r} is unknown to generator {spec.name!r}, allowed: {_listed(spec.classes)}.")


def _listed(classes: Mapping[int, str]) -> str:
    return ", ".join(f"{number} ({name!r})" for number, name in classes.items())
