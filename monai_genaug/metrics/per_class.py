# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""The same metric for every class on its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor

__all__ = ["metric_per_class"]

T = TypeVar("T")
Labels = Tensor | Sequence[int] | Sequence[str]


def metric_per_class(
    function: Callable[..., T], *labelled: tuple[Tensor, Labels], **options: Any
) -> dict[int | str, T]:
    """Applies a function of feature sets to the samples of each class.

    ``metric_per_class(frechet_distance, (real, real_labels), (synthetic, synthetic_labels))`` compares the real and
    the synthetic samples of each class; ``metric_per_class(vendi_score, (features, labels))`` takes one set.

    Args:
        function: takes one table of features ``(n, d)`` per set.
        labelled: per set its features and a class id or name for each of its rows.
        options: passed on to ``function``.

    Returns:
        Class -> what ``function`` returned, by rising class.

    Raises:
        ValueError: no set, labels that don't fit the rows, classes that are not in all sets, or what ``function``
            raises, with the class.
    """
    if not labelled:
        raise ValueError("0 feature sets are given, at least 1 is needed.")
    tables = [_rows_by_class(features, labels) for features, labels in labelled]
    classes = sorted({name for rows in tables for name in rows}, key=lambda name: (isinstance(name, str), name))
    for number, rows in enumerate(tables):
        if missing := [name for name in classes if name not in rows]:
            raise ValueError(f"classes {missing} are missing in set {number}, which has {list(rows)}.")
    values: dict[int | str, T] = {}
    for name in classes:
        parts = [features[rows[name]] for (features, _), rows in zip(labelled, tables, strict=True)]
        try:
            values[name] = function(*parts, **options)
        except ValueError as error:
            raise ValueError(f"class {name!r}: {error}") from error
    return values


def _rows_by_class(features: Tensor, labels: Labels) -> dict[int | str, Tensor]:
    if isinstance(labels, Tensor) and labels.ndim != 1:
        raise ValueError(f"labels have shape {tuple(labels.shape)}, expected one label per row.")
    names: list[int | str] = labels.tolist() if isinstance(labels, Tensor) else list(labels)
    if len(names) != len(features):
        raise ValueError(f"{len(names)} labels for {len(features)} rows, expected one label per row.")
    rows: dict[int | str, list[int]] = {}
    for row, name in enumerate(names):
        rows.setdefault(name, []).append(row)
    return {name: torch.tensor(found, device=features.device) for name, found in rows.items()}
