# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Ignite's progress bar, attachable from a config."""

from __future__ import annotations

from collections.abc import Mapping

from ignite.engine import Engine
from ignite.handlers import ProgressBar

from monai_genaug.generators import current_rank

__all__ = ["TrainingProgress"]


class TrainingProgress(ProgressBar):
    """A bar per epoch that shows the batch's losses; on rank 0 alone."""

    def attach(self, engine: Engine) -> None:
        """Attaches to a trainer whose output is a dictionary with ``loss``, or ``d_loss`` and ``g_loss``."""
        if current_rank() == 0:
            super().attach(engine, output_transform=_losses)


def _losses(output: Mapping[str, float]) -> dict[str, float]:
    return {name: value for name, value in output.items() if name.endswith("loss")}
