# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Bundles before their training: configs for a family of networks, filled in for a data set."""

from __future__ import annotations

from monai_genaug.blueprints.models import MODELS
from monai_genaug.blueprints.own_images import train_on_folder
from monai_genaug.blueprints.writing import write_untrained_bundle

__all__ = ["MODELS", "train_on_folder", "write_untrained_bundle"]
