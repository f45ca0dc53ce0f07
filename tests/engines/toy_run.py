# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""A whole training run of a tiny RHVAE in memory: shuffling, augmentation, schedule, validation, checkpoints.

In a process group it takes its part in it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from monai.data import DataLoader, Dataset, DistributedSampler
from monai.handlers import LrScheduleHandler, ValidationHandler
from monai.optimizers import WarmupCosineSchedule
from monai.transforms import Compose, RandFlipd, RandGaussianNoised, ScaleIntensityd

from monai_genaug.engines import VAEEvaluator, VAETrainer
from monai_genaug.handlers import EpochCsvLog, EpochSeeds, StopWithoutImprovement, TrainingCheckpoint
from monai_genaug.networks import RHVAE

SHAPE = (8, 8, 8)


@dataclass
class Run:
    trainer: VAETrainer
    evaluator: VAEEvaluator
    network: RHVAE
    checkpoint: TrainingCheckpoint
    early_stopping: StopWithoutImprovement


def volumes(count: int, seed: int) -> list[dict[str, Any]]:
    generator = torch.Generator().manual_seed(seed)
    images = torch.rand(count, 1, *SHAPE, generator=generator)
    return [{"image": image, "label": (image > 0.5).float()} for image in images]


def toy_network(seed: int = 0) -> RHVAE:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return RHVAE(3, SHAPE, mask_classes=2, latent_dim=2, channels=(4, 4), n_leapfrog=1)


def build(
    folder: Path, max_epochs: int, workers: int = 0, patience: int = 100, schedule: int = 20, **changes: Any
) -> Run:
    network = toy_network()
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-2)
    augmentation = Compose(
        [
            RandFlipd(["image", "label"], prob=0.5, spatial_axis=0),
            RandGaussianNoised("image", prob=1.0, std=0.1),
            ScaleIntensityd("image"),
        ]
    )
    data = Dataset(volumes(8, seed=1), augmentation)
    is_distributed = torch.distributed.is_available() and torch.distributed.is_initialized()
    sampler = DistributedSampler(data, shuffle=True, seed=0) if is_distributed else None
    loader = DataLoader(
        data,
        batch_size=3 if sampler is None else 2,
        sampler=sampler,
        shuffle=sampler is None,
        num_workers=workers,
        generator=torch.Generator(),
    )
    held_out = DataLoader(Dataset(volumes(5, seed=2)), batch_size=3, generator=torch.Generator())
    evaluator = VAEEvaluator("cpu", held_out, network)
    scheduler = WarmupCosineSchedule(optimizer, warmup_steps=2, t_total=schedule, warmup_multiplier=0.1)
    early_stopping = StopWithoutImprovement(evaluator, patience)
    others = {"scheduler": scheduler, "early_stopping": early_stopping}
    checkpoint = TrainingCheckpoint(folder, network, optimizer, evaluator, others)
    handlers = [
        EpochSeeds(loader),
        LrScheduleHandler(scheduler, print_lr=False, epoch_level=False),
        ValidationHandler(1, evaluator),
        early_stopping,
        EpochCsvLog(folder / "log.csv", optimizer, evaluator),
        checkpoint,
    ]
    trainer = VAETrainer("cpu", max_epochs, loader, network, optimizer, train_handlers=handlers, **changes)
    return Run(trainer, evaluator, network, checkpoint, early_stopping)
