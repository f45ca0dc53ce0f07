# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Ignite's progress bar, attachable from a config."""

from __future__ import annotations

from ignite.engine import Engine
from ignite.handlers import ProgressBar

from monai_genaug.generators import current_rank

__all__ = ["TrainingProgress"]


class TrainingProgress(ProgressBar):
    """A bar per epoch that shows the batch's loss; on rank 0 alone."""

    def attach(self, engine: Engine) -> None:
        """Attaches to a trainer whose output is a dictionary with ``loss``."""
        if current_rank() == 0:
            super().attach(engine, output_transform=lambda output: {"loss": output["loss"]})
