# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""How many wrong labels are found in real images, some labels of which were flipped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch.nn.functional import adaptive_avg_pool2d

from monai_genaug.quality.label_errors import find_label_errors

__all__ = ["FlippedLabels", "find_flipped_labels", "flipped_section"]

_CELLS = 7


@dataclass(frozen=True)
class FlippedLabels:
    """What was found of flipped labels.

    Args:
        name: of the data set.
        method: of the classifier.
        items, flipped, reported, found: numbers of items; found are those that were flipped and reported.
        error_rate: as estimated.
        error_rate_before: the same before labels were flipped.
    """

    name: str
    method: str
    items: int
    flipped: int
    reported: int
    found: int
    error_rate: float
    error_rate_before: float


def find_flipped_labels(
    name: str,
    items: Sequence[Mapping[str, Any]],
    method: Literal["logistic", "neighbours"] = "logistic",
    fraction: float = 0.05,
    seed: int = 0,
) -> FlippedLabels:
    """Flips labels of two classes, and looks for them by the mean intensities of 7x7 cells.

    Args:
        name: of the data set.
        items: images ``(C, height, width)`` under ``"image"``, 0 or 1 under ``"label"``.
        method: see :func:`find_label_errors`.
        fraction: of the labels that are flipped.
        seed: which ones.
    """
    images = torch.stack([torch.as_tensor(item["image"]) for item in items]).float()
    features = adaptive_avg_pool2d(images, _CELLS).flatten(1)
    labels = torch.tensor([item["label"] for item in items])
    flipped = np.random.default_rng(seed).choice(len(items), round(fraction * len(items)), replace=False)
    before = find_label_errors(features, labels, method=method)
    labels[flipped] = 1 - labels[flipped]
    report = find_label_errors(features, labels, method=method)
    found = len(set(report.indices) & set(flipped.tolist()))
    rates = report.error_rate, before.error_rate
    return FlippedLabels(name, method, len(items), len(flipped), len(report.indices), found, *rates)


def flipped_section(rows: Sequence[FlippedLabels]) -> str:
    """Markdown."""
    head = "| | classifier | items | flipped | reported | precision | recall | estimated errors (before) |"
    lines = [
        f"| {row.name} | {row.method} | {row.items} | {row.flipped} | {row.reported} | {row.found / row.reported:.2f} "
        f"| {row.found / row.flipped:.2f} | {row.error_rate:.1%} ({row.error_rate_before:.1%}) |"
        for row in rows
    ]
    return "\n".join([head, "|---|---|---|---|---|---|---|---|", *lines])
