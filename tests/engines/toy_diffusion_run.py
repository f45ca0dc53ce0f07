# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""A whole training of a tiny diffusion model in memory: shuffling, hidden classes, averages, checkpoints.

In a process group it takes its part in it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from monai.data import DataLoader, Dataset, DistributedSampler

from monai_genaug.engines import DiffusionTrainer
from monai_genaug.handlers import EpochCsvLog, EpochSeeds, TrainingCheckpoint
from monai_genaug.networks import UNetDiffusion
from tests.engines.toy_gan_run import SHAPE, pictures


def toy_network(n_classes: int = 2, **changes: Any) -> UNetDiffusion:
    arguments: dict[str, Any] = {"channels": (8,), "norm_num_groups": 4, "num_head_channels": 8, "patch_size": 2}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return UNetDiffusion(2, SHAPE, n_classes=n_classes, num_inference_steps=10, **{**arguments, **changes})


def adam(network: UNetDiffusion, rate: float = 2e-3) -> torch.optim.Adam:
    return torch.optim.Adam(network.unet.parameters(), rate)


def build(folder: Path, max_epochs: int, **changes: Any) -> DiffusionTrainer:
    """Three iterations per epoch, the last one shorter."""
    network = toy_network()
    is_distributed = torch.distributed.is_available() and torch.distributed.is_initialized()
    data = Dataset(pictures(16 if is_distributed else 8))
    sampler = DistributedSampler(data, shuffle=True, seed=0) if is_distributed else None
    loader = DataLoader(data, batch_size=3, sampler=sampler, shuffle=sampler is None, generator=torch.Generator())
    optimizer = adam(network)
    checkpoint = TrainingCheckpoint(folder, network, optimizer)
    handlers = [EpochSeeds(loader), EpochCsvLog(folder / "log.csv", optimizer), checkpoint]
    arguments: dict[str, Any] = {"class_key": "label", "class_dropout": 0.3, "ema_decay": 0.9, **changes}
    return DiffusionTrainer("cpu", max_epochs, loader, network, optimizer, train_handlers=handlers, **arguments)
