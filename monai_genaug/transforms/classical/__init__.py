# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Augmentation without a generator: what generative augmentation has to be compared with."""

from __future__ import annotations

from monai_genaug.transforms.classical.recipes import CLASSICAL_RECIPES, classical_recipe

__all__ = ["CLASSICAL_RECIPES", "classical_recipe"]
