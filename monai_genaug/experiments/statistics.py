# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Means over repeated runs with confidence intervals."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import stats

__all__ = ["mean_and_interval"]


def mean_and_interval(values: Sequence[float], confidence: float = 0.95) -> tuple[float, float, float]:
    """Mean and its confidence interval by Student's t.

    Args:
        values: one per run, at least two.
        confidence: in (0, 1).

    Returns:
        Mean, lower and upper end.

    Raises:
        ValueError: fewer than two values.
    """
    if len(values) < 2:
        raise ValueError(f"{len(values)} runs give no interval, at least 2 are needed.")
    array = np.asarray(values, dtype=np.float64)
    mean = float(array.mean())
    half = float(stats.t.ppf(0.5 + confidence / 2.0, len(array) - 1) * array.std(ddof=1) / np.sqrt(len(array)))
    return mean, mean - half, mean + half
