# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Checks that all metrics on features share."""

from __future__ import annotations

from torch import Tensor

__all__ = ["check_features"]


def check_features(real: Tensor, synthetic: Tensor, at_least: int) -> None:
    """Refuses features that a metric cannot be computed from.

    Raises:
        ValueError: not two matrices of equal width, fewer than ``at_least`` rows, NaN or infinity.
    """
    for name, features in (("real", real), ("synthetic", synthetic)):
        if features.ndim != 2:
            raise ValueError(f"{name} features have shape {tuple(features.shape)}, expected (samples, features).")
        if len(features) < at_least:
            raise ValueError(f"{name} features have {len(features)} rows, at least {at_least} are needed.")
        if not bool(features.isfinite().all()):
            raise ValueError(f"{name} features contain NaN or infinity.")
    if real.shape[1] != synthetic.shape[1]:
        raise ValueError(f"feature sizes differ: {real.shape[1]} (real) and {synthetic.shape[1]} (synthetic).")
