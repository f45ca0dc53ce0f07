# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Results of single audits, and how well scores tell copying generators from honest ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

__all__ = ["CHECKS", "SHARES", "Trial", "separation"]

CHECKS = ("copies", "distance_ratio", "membership")
"""Checks of samples, whose effects are shown."""
SHARES = (1.0, 0.2, 0.05)
"""Shares of copies among the samples."""


@dataclass(frozen=True)
class Trial:
    """One audit.

    Args:
        dataset: name of the set.
        kind: what the generator does.
        share: of its samples that are copies; 0 for an honest one, None where nobody knows.
        passed: verdict on the samples, by the default thresholds.
        score: largest score of the checks of samples.
        effects: check -> effect, of all classes together.
        n_samples: that were looked at.
    """

    dataset: str
    kind: str
    share: float | None
    passed: bool
    score: float
    effects: Mapping[str, float]
    n_samples: int


def separation(honest: Sequence[float], copying: Sequence[float]) -> float:
    """Area under the ROC curve: how often a copying generator scores above an honest one; ties count half."""
    a, b = torch.tensor(honest)[:, None], torch.tensor(copying)[None]
    return float((a < b).double().mean() + 0.5 * (a == b).double().mean())
