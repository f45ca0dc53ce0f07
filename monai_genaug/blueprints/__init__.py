# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Bundles before their training: configs for a family of networks, filled in for a data set."""

from __future__ import annotations

from monai_genaug.blueprints.writing import write_untrained_bundle

__all__ = ["write_untrained_bundle"]
