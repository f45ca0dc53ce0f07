# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""VAE whose encoder and decoder both see the class."""

from __future__ import annotations

from collections.abc import Sequence

from monai_genaug.latent import LatentDistribution
from monai_genaug.networks.vae import VAE

__all__ = ["ConditionalVAE"]


class ConditionalVAE(VAE):
    """Conditional VAE (Sohn, Lee and Yan, NIPS 2015) of images and label maps, in 2D and 3D.

    The decoder reads the class as a part of the code, the encoder as one more channel: a linear map from the one-hot
    class to an image. With ``latent_dim=150``, ``channels=(32, 64, 128, 256, 512)`` and the ``"batch_norm"`` stack at
    28 x 28 pixels these are the layers of Le Roux, figures 19 and 20.

    Args:
        n_classes: number of classes, 2 and more.
        spatial_dims, spatial_shape, image_channels, mask_classes, latent_dim, channels, likelihood, latent, stack: as
            in :class:`VAE`; ``latent="gaussian_mixture"`` fits one mixture per class.

    Raises:
        ValueError: a value that is not allowed.
    """

    def __init__(
        self,
        spatial_dims: int,
        spatial_shape: Sequence[int],
        n_classes: int,
        image_channels: int = 1,
        mask_classes: int = 0,
        latent_dim: int = 16,
        channels: Sequence[int] = (32, 64, 128, 256, 512),
        likelihood: str = "gaussian",
        latent: LatentDistribution | str | None = None,
        stack: str = "batch_norm",
    ) -> None:
        if n_classes < 2:
            raise ValueError(f"n_classes is {n_classes}, allowed: 2 and more.")
        super().__init__(
            spatial_dims,
            spatial_shape,
            image_channels,
            mask_classes,
            latent_dim,
            channels,
            likelihood,
            latent,
            stack,
            n_classes,
        )
