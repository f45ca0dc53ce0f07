# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Variational autoencoder whose one latent code makes an image and, optionally, its label map."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from monai_genaug.latent import LatentDistribution, NormalLatent
from monai_genaug.losses import (
    bernoulli_log_likelihood,
    categorical_log_likelihood,
    gaussian_log_likelihood,
    standard_normal_kl,
)
from monai_genaug.networks.layers.conv_stacks import ConvDecoder, ConvEncoder, coarse_grid
from monai_genaug.networks.layers.spectral_gain import SpectralGain

__all__ = ["VAE"]

LIKELIHOODS = ("gaussian", "bernoulli")


class VAE(nn.Module):
    """VAE (Kingma and Welling, arXiv 1312.6114) of images and label maps, in 2D and 3D.

    One code z gives an image (Gaussian likelihood with a learned variance, or Bernoulli) and, where ``mask_classes``
    is not 0, a label map (categorical likelihood): the pair always fits together. Calling the module decodes.

    Args:
        spatial_dims: 2 or 3.
        spatial_shape: size of the images; every axis a multiple of ``2**len(channels)``.
        image_channels: channels of the image.
        mask_classes: classes of the label map including background; 0 for images alone.
        latent_dim: dimensions d of z.
        channels: channels of the stacks from fine to coarse, one entry per halving.
        likelihood: ``"gaussian"`` or ``"bernoulli"``, of the image with values in [0, 1].
        latent: distribution from which new codes are drawn; the standard normal by default.

    Raises:
        ValueError: a value that is not allowed.
    """

    log_variance_floor = math.log(0.01**2)

    def __init__(
        self,
        spatial_dims: int,
        spatial_shape: Sequence[int],
        image_channels: int = 1,
        mask_classes: int = 0,
        latent_dim: int = 16,
        channels: Sequence[int] = (16, 32, 64, 64),
        likelihood: str = "gaussian",
        latent: LatentDistribution | None = None,
    ) -> None:
        super().__init__()
        if spatial_dims not in (2, 3) or len(spatial_shape) != spatial_dims:
            raise ValueError(f"spatial_shape {tuple(spatial_shape)} does not fit spatial_dims={spatial_dims} (2 or 3).")
        if likelihood not in LIKELIHOODS:
            raise ValueError(f"likelihood is {likelihood!r}, allowed: {LIKELIHOODS}.")
        if mask_classes == 1 or mask_classes < 0:
            raise ValueError(f"mask_classes is {mask_classes}, allowed: 0 (no mask) or 2 and more.")
        if latent is not None and latent.latent_dim != latent_dim:
            raise ValueError(f"latent has dimension {latent.latent_dim}, latent_dim is {latent_dim}.")
        self.spatial_shape = tuple(spatial_shape)
        self.image_channels, self.mask_classes = image_channels, mask_classes
        self.latent_dim, self.likelihood = latent_dim, likelihood
        self.latent: LatentDistribution = NormalLatent(latent_dim) if latent is None else latent

        grid = coarse_grid(spatial_shape, len(channels))
        features = channels[-1] * math.prod(grid)
        total = image_channels + mask_classes
        self.encoder = ConvEncoder(spatial_dims, total, channels)
        self.to_posterior = nn.Linear(features, 2 * latent_dim)
        self.from_code = nn.Sequential(nn.Linear(latent_dim, features), nn.Unflatten(1, (channels[-1], *grid)))
        self.decoder = ConvDecoder(spatial_dims, tuple(reversed(channels)), total)
        self.spectral_gain = SpectralGain()
        self.log_variance = nn.Parameter(torch.full((image_channels,), math.log(0.15**2)))

    def forward(self, z: Tensor) -> Tensor:
        """Decodes.

        Args:
            z: codes ``(n, d)``.

        Returns:
            ``(n, image_channels + mask_classes, *spatial_shape)``: the image's mean in [0, 1], then mask logits.
        """
        mean = self.decoded_mean(z)
        if not self.spectral_gain.is_fitted:
            return mean
        image = self.spectral_gain(mean[:, : self.image_channels])
        return torch.cat([image, mean[:, self.image_channels :]], dim=1)

    def decoded_mean(self, z: Tensor) -> Tensor:
        """What the likelihood uses: as calling the module, without the filter that :meth:`fit_generation` fits."""
        raw = self.decoder(self.from_code(z)).float()
        return torch.cat([raw[:, : self.image_channels].sigmoid(), raw[:, self.image_channels :]], dim=1)

    def join(self, image: Tensor, mask: Tensor | None = None) -> Tensor:
        """What :meth:`posterior` and :meth:`elbo` read, from an image and its label map.

        Args:
            image: ``(n, image_channels, *spatial_shape)``, values in [0, 1].
            mask: ``(n, 1, *spatial_shape)`` with labels 0 to ``mask_classes - 1`` in any dtype; None without masks.

        Returns:
            ``(n, image_channels + mask_classes, *spatial_shape)``, float32: the image, then the one-hot mask.

        Raises:
            ValueError: a mask too many or missing, a wrong shape, or a label that is not allowed.
        """
        if image.shape[1:] != (self.image_channels, *self.spatial_shape):
            raise ValueError(
                f"image is {tuple(image.shape)}, needed: (n, {self.image_channels}, *{self.spatial_shape})."
            )
        if (mask is None) != (self.mask_classes == 0):
            raise ValueError(
                f"mask_classes is {self.mask_classes}, the mask is {'missing' if mask is None else 'given'}."
            )
        if mask is None:
            return image.float()
        if mask.shape != (len(image), 1, *self.spatial_shape):
            raise ValueError(f"mask is {tuple(mask.shape)}, needed: ({len(image)}, 1, *{self.spatial_shape}).")
        labels = mask[:, 0].long()
        low, high = int(labels.min()), int(labels.max())
        if low < 0 or high >= self.mask_classes:
            raise ValueError(f"mask holds labels from {low} to {high}, allowed: 0 to {self.mask_classes - 1}.")
        one_hot = nn.functional.one_hot(labels, self.mask_classes).movedim(-1, 1)
        return torch.cat([image.float(), one_hot.float()], dim=1)

    def posterior(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log variance ``(n, d)`` of q(z|x); ``x`` holds image channels, then the one-hot mask."""
        return self._posterior_of(self.encoder(x))

    def log_likelihood(self, x: Tensor, z: Tensor, observed: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Log p(image|z) and log p(mask|z), each ``(n,)`` in nats; ``observed`` as in the losses."""
        decoded = self.decoded_mean(z)
        image, mean = x[:, : self.image_channels], decoded[:, : self.image_channels]
        if self.likelihood == "gaussian":
            log_variance = self.log_variance.clamp(min=self.log_variance_floor)
            of_image = gaussian_log_likelihood(image, mean, log_variance.view(-1, *[1] * (x.ndim - 2)), observed)
        else:
            of_image = bernoulli_log_likelihood(image, mean, observed)
        if self.mask_classes == 0:
            return of_image, torch.zeros_like(of_image)
        return of_image, categorical_log_likelihood(x[:, self.image_channels :], decoded[:, self.image_channels :])

    def elbo(
        self, x: Tensor, observed: Tensor | None = None, generator: torch.Generator | None = None
    ) -> dict[str, Tensor]:
        """The negative evidence lower bound and its parts.

        Args:
            x: ``(n, image_channels + mask_classes, *spatial_shape)``.
            observed: 1 where the image was measured, 0 where it was padded.
            generator: CPU generator of the noise; None for the global one.

        Returns:
            ``loss``: negative ELBO in nats per element of the image; ``image``, ``mask``: negative log likelihoods in
            nats; ``kl`` in nats. All are means over the batch.
        """
        mean, log_variance = self.posterior(x)
        z = mean + torch.exp(0.5 * log_variance) * self._noise(mean, generator)
        image, mask = self.log_likelihood(x, z, observed)
        return self._terms(image, mask, standard_normal_kl(mean, log_variance))

    @torch.no_grad()
    def fit_generation(self, x: Sequence[Tensor], held_out: Sequence[Tensor]) -> None:
        """Fits what only generation needs, once, with the final network: :attr:`latent` and the filter of images.

        Args:
            x: batches of the training set, as in :meth:`elbo`.
            held_out: batches that were not trained on; distributions that need none ignore them.
        """
        codes = [self.posterior(batch)[0] for batch in x]
        self.latent.fit(torch.cat(codes))
        self._fit_spectral_gain(x, codes)

    def _fit_spectral_gain(self, x: Sequence[Tensor], codes: Sequence[Tensor]) -> None:
        images = slice(0, self.image_channels)
        real = [batch[:, images] for batch in x]
        self.spectral_gain.fit(real, [self.decoded_mean(part)[:, images] for part in codes])

    def _posterior_of(self, features: Tensor) -> tuple[Tensor, Tensor]:
        mean, log_variance = self.to_posterior(features.flatten(1)).float().chunk(2, dim=1)
        return mean, log_variance.clamp(-12.0, 2.0)

    def _noise(self, like: Tensor, generator: torch.Generator | None) -> Tensor:
        return torch.randn(like.shape, generator=generator, dtype=torch.float32).to(like)

    def _terms(self, image: Tensor, mask: Tensor, kl: Tensor) -> dict[str, Tensor]:
        negative = kl - image - mask
        loss = negative.mean() / (self.image_channels * math.prod(self.spatial_shape))
        return {"loss": loss, "image": -image.mean(), "mask": -mask.mean(), "kl": kl.mean()}
