# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Ignite engines that train and measure generative networks."""

from __future__ import annotations

from monai_genaug.engines.autoencoder_trainer import AutoencoderTrainer
from monai_genaug.engines.diffusion_trainer import DiffusionTrainer
from monai_genaug.engines.latent_gan_trainer import LatentGANTrainer
from monai_genaug.engines.optimizer_step import NonFiniteLossError
from monai_genaug.engines.vae_evaluator import VAEEvaluator
from monai_genaug.engines.vae_trainer import VAETrainer

__all__ = [
    "AutoencoderTrainer",
    "DiffusionTrainer",
    "LatentGANTrainer",
    "NonFiniteLossError",
    "VAEEvaluator",
    "VAETrainer",
]
