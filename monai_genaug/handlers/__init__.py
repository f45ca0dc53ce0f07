# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Ignite handlers."""

from __future__ import annotations

from monai_genaug.handlers.synthetic_prob import SyntheticProbScheduler

__all__ = ["SyntheticProbScheduler"]
