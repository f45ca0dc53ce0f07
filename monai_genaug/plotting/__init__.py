# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Pictures of samples."""

from __future__ import annotations

from monai_genaug.plotting.figures import save_figure
from monai_genaug.plotting.grids import sample_grid
from monai_genaug.plotting.rotation import rotating_gif
from monai_genaug.plotting.sheets import SheetRow, sample_sheet

__all__ = ["SheetRow", "rotating_gif", "sample_grid", "sample_sheet", "save_figure"]
