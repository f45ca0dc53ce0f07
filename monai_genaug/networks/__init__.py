# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Generative networks; calling one decodes codes into samples."""

from __future__ import annotations

from monai_genaug.networks.conditional_vae import ConditionalVAE
from monai_genaug.networks.dcgan_discriminator import DCGANDiscriminator
from monai_genaug.networks.dcgan_generator import DCGANGenerator
from monai_genaug.networks.diffusion_decoder import DiffusionDecoder
from monai_genaug.networks.diffusion_process import DiffusionProcess, scheduler_by_name
from monai_genaug.networks.joint_vae import JointVAE
from monai_genaug.networks.latent_autoencoder import LatentAutoencoder
from monai_genaug.networks.latent_decoder import LatentDecoder
from monai_genaug.networks.latent_diffusion import LatentDiffusion
from monai_genaug.networks.layers.differentiable_augmentation import DifferentiableAugmentation
from monai_genaug.networks.medmnist_cnn import MedMNISTCNN
from monai_genaug.networks.per_class_vae import PerClassVAE
from monai_genaug.networks.rhvae import RHVAE
from monai_genaug.networks.unet_diffusion import UNetDiffusion
from monai_genaug.networks.vae import VAE

__all__ = [
    "RHVAE",
    "VAE",
    "ConditionalVAE",
    "DCGANDiscriminator",
    "DCGANGenerator",
    "DifferentiableAugmentation",
    "DiffusionDecoder",
    "DiffusionProcess",
    "JointVAE",
    "LatentAutoencoder",
    "LatentDecoder",
    "LatentDiffusion",
    "MedMNISTCNN",
    "PerClassVAE",
    "UNetDiffusion",
    "scheduler_by_name",
]
