# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Ignite handlers."""

from __future__ import annotations

from monai_genaug.handlers.bundle_export import BundleExport
from monai_genaug.handlers.csv_log import EpochCsvLog
from monai_genaug.handlers.early_stopping import StopWithoutImprovement
from monai_genaug.handlers.epoch_seeds import EpochSeeds
from monai_genaug.handlers.fidelity import FidelityHandler
from monai_genaug.handlers.pool_refresh import PoolRefresh
from monai_genaug.handlers.progress import TrainingProgress
from monai_genaug.handlers.reconstruction_grid import ReconstructionGridHandler
from monai_genaug.handlers.sample_grid import SampleGridHandler
from monai_genaug.handlers.snapshot_choice import Snapshot, SnapshotChooser
from monai_genaug.handlers.synthetic_prob import SyntheticProbScheduler
from monai_genaug.handlers.training_checkpoint import TrainingCheckpoint

__all__ = [
    "SyntheticProbScheduler",
    "BundleExport",
    "EpochCsvLog",
    "EpochSeeds",
    "FidelityHandler",
    "PoolRefresh",
    "ReconstructionGridHandler",
    "SampleGridHandler",
    "Snapshot",
    "SnapshotChooser",
    "StopWithoutImprovement",
    "TrainingCheckpoint",
    "TrainingProgress",
]
