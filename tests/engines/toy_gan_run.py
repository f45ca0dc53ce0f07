# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""A whole adversarial training of tiny networks in memory: shuffling, dropout, augmentation, checkpoints.

In a process group it takes its part in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from monai.data import DataLoader, Dataset, DistributedSampler

from monai_genaug.engines.latent_gan_trainer import LatentGANTrainer
from monai_genaug.handlers import EpochCsvLog, EpochSeeds, TrainingCheckpoint
from monai_genaug.networks.dcgan_discriminator import DCGANDiscriminator
from monai_genaug.networks.dcgan_generator import DCGANGenerator
from monai_genaug.networks.layers.differentiable_augmentation import DifferentiableAugmentation

SHAPE = (8, 8)
N_CLASSES = 2


@dataclass
class Run:
    trainer: LatentGANTrainer
    generator: DCGANGenerator
    discriminator: DCGANDiscriminator
    checkpoint: TrainingCheckpoint


def pictures(count: int, seed: int = 1) -> list[dict[str, Any]]:
    """Noisy squares: dark ones of class 0, bright ones of class 1."""
    noise = torch.rand(count, 1, *SHAPE, generator=torch.Generator().manual_seed(seed))
    return [{"image": 0.1 + 0.6 * (i % 2) + 0.2 * noise[i], "label": i % 2} for i in range(count)]


def toy_networks(
    n_classes: int = N_CLASSES,
    heads: Sequence[str] = ("projection",),
    norm: str | None = None,
    spectral_norm: bool = False,
    dropout: float = 0.0,
) -> tuple[DCGANGenerator, DCGANDiscriminator]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        generator = DCGANGenerator(2, SHAPE, latent_dim=4, channels=(8, 4), n_classes=n_classes, dropout=dropout)
        discriminator = DCGANDiscriminator(
            2, SHAPE, 1, (4, 8), n_classes, heads, norm=norm, spectral_norm=spectral_norm, dropout=dropout
        )
    return generator, discriminator


def adam(network: torch.nn.Module, rate: float = 2e-3) -> torch.optim.Adam:
    return torch.optim.Adam(network.parameters(), rate, (0.0, 0.9))


def build(folder: Path, max_epochs: int, **changes: Any) -> Run:
    """Three iterations per epoch, the last one shorter; the generator's turn is every second one."""
    generator, discriminator = toy_networks(heads=("projection", "auxiliary"), spectral_norm=True, dropout=0.2)
    is_distributed = torch.distributed.is_available() and torch.distributed.is_initialized()
    data = Dataset(pictures(16 if is_distributed else 8))
    sampler = DistributedSampler(data, shuffle=True, seed=0) if is_distributed else None
    loader = DataLoader(data, batch_size=3, sampler=sampler, shuffle=sampler is None, generator=torch.Generator())
    g_optimizer = adam(generator)
    checkpoint = TrainingCheckpoint(folder, generator, g_optimizer)
    handlers = [EpochSeeds(loader), EpochCsvLog(folder / "log.csv", g_optimizer), checkpoint]
    arguments: dict[str, Any] = {
        "class_key": "label",
        "adversarial": "hinge",
        "n_critic": 2,
        "augment": DifferentiableAugmentation(translation=0.2, cutout=0.3),
        "ema_decay": 0.9,
        **changes,
    }
    trainer = LatentGANTrainer(
        "cpu",
        max_epochs,
        loader,
        generator,
        discriminator,
        g_optimizer,
        adam(discriminator),
        train_handlers=handlers,
        **arguments,
    )
    return Run(trainer, generator, discriminator, checkpoint)
