# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Checks that all metrics on features share."""

from __future__ import annotations

from torch import Tensor

__all__ = ["check_feature_table", "check_features", "check_neighbours"]

_ROWS = 4096  # looked at together, so that no check needs much memory


def check_feature_table(features: Tensor, name: str, at_least: int) -> None:
    """Refuses a set of features that no metric can be computed from.

    Args:
        features: what should be a table ``(n, d)``.
        name: whose features they are, for the message.
        at_least: rows that the metric needs.

    Raises:
        ValueError: no matrix of real numbers, fewer than ``at_least`` rows, no columns, NaN or infinity.
    """
    if features.ndim != 2:
        raise ValueError(f"{name} features have shape {tuple(features.shape)}, expected (samples, features).")
    if features.is_complex():
        raise ValueError(f"{name} features are {features.dtype}, expected real numbers.")
    if len(features) < at_least:
        raise ValueError(f"{name} features have {len(features)} rows, at least {at_least} are needed.")
    if features.shape[1] == 0:
        raise ValueError(f"{name} features have 0 columns, at least 1 is needed.")
    if not all(_is_finite(block) for block in features.split(_ROWS)):
        raise ValueError(f"{name} features contain NaN or infinity.")


def check_features(real: Tensor, synthetic: Tensor, at_least: int) -> None:
    """Refuses two sets of features that cannot be compared.

    Equal synthetic features are a collapsed generator, which metrics must measure; equal real ones only come from an
    extractor that does not work.

    Raises:
        ValueError: what :func:`check_feature_table` refuses, different feature sizes or devices, two and more real
            samples that all have the same features.
    """
    for name, features in (("real", real), ("synthetic", synthetic)):
        check_feature_table(features, name, at_least)
    if real.shape[1] != synthetic.shape[1]:
        raise ValueError(f"feature sizes differ: {real.shape[1]} (real) and {synthetic.shape[1]} (synthetic).")
    if real.device != synthetic.device:
        raise ValueError(f"devices differ: {real.device} (real) and {synthetic.device} (synthetic).")
    looked_at = (real[-1:], *real.split(_ROWS))  # sorted or not, the last row is seldom equal to the first
    if len(real) > 1 and all(bool((block == real[0]).all()) for block in looked_at):
        raise ValueError(f"real features are constant: all {len(real)} rows are equal.")


def _is_finite(block: Tensor) -> bool:
    """Whether all numbers are; a sum tells it sooner, unless it overflows."""
    return bool(block.sum().isfinite()) or bool(block.isfinite().all())


def check_neighbours(k: int, **sets: Tensor) -> None:
    """Refuses a number of neighbours that one of the named sets does not have.

    Raises:
        ValueError: k below 1, or a set of k and fewer samples.
    """
    if k < 1:
        raise ValueError(f"k is {k}, allowed: 1 and more.")
    for name, features in sets.items():
        if len(features) <= k:
            raise ValueError(
                f"{len(features)} {name} samples are too few for k={k} neighbours, at least {k + 1} are needed."
            )
