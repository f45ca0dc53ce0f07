# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""How close synthetic samples are to real ones."""

from __future__ import annotations

from monai_genaug.metrics.coverage import density_and_coverage
from monai_genaug.metrics.frechet import frechet_distance

__all__ = ["density_and_coverage", "frechet_distance"]
