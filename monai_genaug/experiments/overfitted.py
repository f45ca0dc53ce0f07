# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""A VAE that knows a handful of images by heart."""

from __future__ import annotations

import torch
from torch import Tensor

from monai_genaug.generators import GeneratorSpec, OutputSpec, VAEGenerator
from monai_genaug.networks import VAE

__all__ = ["overfitted_generator"]


def overfitted_generator(images: Tensor, steps: int = 600, seed: int = 0) -> VAEGenerator:
    """Trains a VAE on a few images for long.

    Args:
        images: ``(n, C, *spatial)``, values in [0, 1]; sizes that are multiples of 4.
        steps: of Adam, each with all images.
        seed: of weights and noise.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = VAE(
            spatial_dims=images.ndim - 2,
            spatial_shape=list(images.shape[2:]),
            image_channels=images.shape[1],
            latent_dim=4,
            channels=[16, 32],
        )
        optimizer = torch.optim.Adam(network.parameters(), lr=3e-3)
        network.train()
        for _ in range(steps):
            loss = network.elbo(images)["loss"]
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        network.eval().fit_generation([images], [images])
    spec = GeneratorSpec(
        name="overfitted",
        outputs={"image": OutputSpec("image", images.shape[1], (0.0, 1.0), "float32")},
        spatial_shape=tuple(images.shape[2:]),
        truncation=network.supports_truncation,
        encodes=("image",),
    )
    return VAEGenerator(network, spec)
