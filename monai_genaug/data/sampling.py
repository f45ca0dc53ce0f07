# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Weights for :class:`torch.utils.data.WeightedRandomSampler`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from monai_genaug.generators.class_labels import ClassLabel, plain_label

__all__ = ["sample_weights"]


def sample_weights(
    labels: Iterable[Any], is_synthetic: Iterable[Any] | None = None, synthetic_weight: float = 1.0
) -> Tensor:
    """Weights that draw every class equally often: class c, whose items have total weight W_c, gets w_i / W_c.

    w_i is ``synthetic_weight`` for a synthetic item and 1 for a real one, so synthetic items are drawn that much more
    or less often than real ones of their class, while the classes stay balanced.

    Args:
        labels: one label per item: ints, strings, or arrays or tensors of one element.
        is_synthetic: one truth value per item; all real if None.
        synthetic_weight: weight of a synthetic item relative to a real one, at least 0.

    Returns:
        ``(n,)`` float64; they add up to the number of classes.

    Raises:
        ValueError: no labels, lengths that differ, a weight that is not allowed, or a class that it would empty.

    Example:
        >>> sample_weights(["benign", "benign", "malignant"])
        tensor([0.5000, 0.5000, 1.0000], dtype=torch.float64)
    """
    classes = [plain_label(label) for label in labels]
    flags = [False] * len(classes) if is_synthetic is None else [bool(flag) for flag in is_synthetic]
    if not classes:
        raise ValueError("labels is empty, weights need at least one item.")
    if len(flags) != len(classes):
        raise ValueError(f"is_synthetic has {len(flags)} values for {len(classes)} labels.")
    if not 0 <= synthetic_weight < float("inf"):
        raise ValueError(f"synthetic_weight is {synthetic_weight!r}, allowed: finite and at least 0.")
    own = [float(synthetic_weight) if flag else 1.0 for flag in flags]
    totals: dict[ClassLabel, float] = {}
    for label, weight in zip(classes, own, strict=True):
        totals[label] = totals.get(label, 0.0) + weight
    empty = [label for label, total in totals.items() if total == 0]
    if empty:
        raise ValueError(f"synthetic_weight is 0, but the classes {empty} have synthetic items only.")
    weights = [weight / totals[label] for label, weight in zip(classes, own, strict=True)]
    return torch.tensor(weights, dtype=torch.float64)
