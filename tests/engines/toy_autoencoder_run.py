# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""A whole training of a tiny autoencoder against a discriminator in memory, with checkpoints.

In a process group it takes its part in it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from monai.data import DataLoader, Dataset, DistributedSampler
from monai.networks.nets import PatchDiscriminator

from monai_genaug.engines import AutoencoderTrainer
from monai_genaug.handlers import EpochCsvLog, EpochSeeds, TrainingCheckpoint
from monai_genaug.networks import LatentDiffusion
from tests.engines.toy_gan_run import SHAPE, pictures


def toy_network(**changes: Any) -> LatentDiffusion:
    arguments: dict[str, Any] = {"autoencoder_channels": (8, 8), "channels": (8,), "latent_channels": 2}
    sizes = {"norm_num_groups": 4, "num_head_channels": 8, "num_inference_steps": 2}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return LatentDiffusion(2, SHAPE, **{**arguments, **sizes, **changes})


def toy_discriminator(channels: int = 1) -> PatchDiscriminator:
    """Of MONAI: it returns the features of its layers, the scores last."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        return PatchDiscriminator(2, channels=4, in_channels=channels, num_layers_d=1)


def adam(network: LatentDiffusion, rate: float = 2e-3) -> torch.optim.Adam:
    return torch.optim.Adam(network.first_stage.parameters(), rate)


def build(folder: Path, max_epochs: int, **changes: Any) -> AutoencoderTrainer:
    """Three iterations per epoch, the last one shorter; the discriminator takes part from the third on."""
    network, discriminator = toy_network(), toy_discriminator()
    is_distributed = torch.distributed.is_available() and torch.distributed.is_initialized()
    data = Dataset(pictures(16 if is_distributed else 8))
    sampler = DistributedSampler(data, shuffle=True, seed=0) if is_distributed else None
    loader = DataLoader(data, batch_size=3, sampler=sampler, shuffle=sampler is None, generator=torch.Generator())
    optimizer = adam(network)
    checkpoint = TrainingCheckpoint(folder, network, optimizer)
    against = {
        "discriminator": discriminator,
        "d_optimizer": torch.optim.Adam(discriminator.parameters(), 1e-3),
        "adversarial_start": 2,
    }
    return AutoencoderTrainer(
        "cpu",
        max_epochs,
        loader,
        network,
        optimizer,
        train_handlers=[EpochSeeds(loader), EpochCsvLog(folder / "log.csv", optimizer), checkpoint],
        **{**against, **changes},
    )
