# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Variational autoencoder whose one latent code makes an image and, optionally, its label map."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from monai_genaug.latent import LatentDistribution
from monai_genaug.losses import (
    bernoulli_log_likelihood,
    categorical_log_likelihood,
    gaussian_log_likelihood,
    standard_normal_kl,
)
from monai_genaug.networks.latent_autoencoder import LatentAutoencoder
from monai_genaug.networks.layers.spectral_gain import SpectralGain
from monai_genaug.networks.layers.stacks import build_stacks

__all__ = ["VAE"]

LIKELIHOODS = ("gaussian", "bernoulli")


class VAE(LatentAutoencoder):
    """VAE (Kingma and Welling, arXiv 1312.6114) of images and label maps, in 2D and 3D.

    One code z gives an image (Gaussian likelihood with a learned variance, or Bernoulli) and, where ``mask_classes``
    is not 0, a label map (categorical likelihood): the pair always fits together. Calling the module decodes.

    Args:
        spatial_dims: 2 or 3.
        spatial_shape: size of the images; with the residual stack every axis a multiple of ``2**len(channels)``.
        image_channels: channels of the image.
        mask_classes: classes of the label map including background; 0 for images alone.
        latent_dim: dimensions d of z.
        channels: channels of the stacks from fine to coarse, one entry per halving.
        likelihood: ``"gaussian"`` or ``"bernoulli"``, of the image with values in [0, 1].
        latent: distribution from which new codes are drawn, or its name (:func:`latent_by_name`); the standard normal
            by default.
        stack: ``"residual"`` (group normalisation) or ``"batch_norm"`` (plain convolutions), see
            :mod:`~monai_genaug.networks.layers.stacks`.
        n_classes: classes, see :class:`ConditionalVAE`; 0 for an unconditional VAE.

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
        latent: LatentDistribution | str | None = None,
        stack: str = "residual",
        n_classes: int = 0,
    ) -> None:
        super().__init__(spatial_dims, spatial_shape, image_channels, mask_classes, latent_dim, n_classes, latent)
        if likelihood not in LIKELIHOODS:
            raise ValueError(f"likelihood is {likelihood!r}, allowed: {LIKELIHOODS}.")
        self.likelihood = likelihood
        made = image_channels + mask_classes
        stacks = build_stacks(stack, self.spatial_shape, channels, made + (n_classes > 0), made)
        self.encoder, self.decoder = stacks.encoder, stacks.decoder
        self.to_posterior = nn.Linear(channels[-1] * math.prod(stacks.encoded_grid), self._posterior_size)
        features = channels[-1] * math.prod(stacks.decoded_grid)
        grid = (channels[-1], *stacks.decoded_grid)
        self.from_code = nn.Sequential(nn.Linear(self.code_dim, features), nn.Unflatten(1, grid))
        self.spectral_gain = SpectralGain()
        self.log_variance = nn.Parameter(torch.full((image_channels,), math.log(0.15**2)))
        if n_classes:
            self.class_channel = nn.Linear(n_classes, self._n_voxels)

    @property
    def _posterior_size(self) -> int:
        """Numbers that the encoder gives for q(z|x)."""
        return 2 * self.latent_dim

    def forward(self, code: Tensor) -> Tensor:
        """See :meth:`LatentAutoencoder.forward`."""
        mean = self.decoded_mean(code)
        if not self.spectral_gain.is_fitted:
            return mean
        image: Tensor = self.spectral_gain(mean[:, : self.image_channels])
        return torch.cat([image, mean[:, self.image_channels :]], dim=1) if self.mask_classes else image

    def decoded_mean(self, code: Tensor) -> Tensor:
        """What the likelihood uses: as calling the module, without the filter that :meth:`fit_generation` fits."""
        raw: Tensor = self.decoder(self.from_code(code)).float()
        if self.mask_classes == 0:
            return raw.sigmoid()
        return torch.cat([raw[:, : self.image_channels].sigmoid(), raw[:, self.image_channels :]], dim=1)

    def posterior(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log variance ``(n, d)`` of q(z|x); ``x`` as :meth:`join` makes it."""
        return self._posterior_of(self._encoded(x))

    def encode(self, x: Tensor, noise: Tensor | None = None) -> Tensor:
        """See :meth:`LatentAutoencoder.encode`."""
        mean, log_variance = self.posterior(x)
        return mean if noise is None else mean + torch.exp(0.5 * log_variance) * noise

    def log_likelihood(self, x: Tensor, z: Tensor, observed: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Log p(image|z) and log p(mask|z), each ``(n,)`` in nats; ``observed`` as in the losses."""
        decoded = self.decoded_mean(self._code(x, z))
        image, mean = x[:, : self.image_channels], decoded
        if self.mask_classes:
            mean = decoded[:, : self.image_channels]
        if self.likelihood == "gaussian":
            log_variance = self.log_variance.clamp(min=self.log_variance_floor)
            of_image = gaussian_log_likelihood(image, mean, log_variance, observed)
        else:
            of_image = bernoulli_log_likelihood(image, mean, observed)
        if self.mask_classes == 0:
            return of_image, torch.zeros_like(of_image)
        masks = slice(self.image_channels, self.image_channels + self.mask_classes)
        return of_image, categorical_log_likelihood(x[:, masks], decoded[:, masks])

    def elbo(
        self, x: Tensor, observed: Tensor | None = None, generator: torch.Generator | None = None
    ) -> dict[str, Tensor]:
        """See :meth:`LatentAutoencoder.elbo`."""
        mean, log_variance = self.posterior(x)
        z = mean + torch.exp(0.5 * log_variance) * self._noise(mean, generator)
        image, mask = self.log_likelihood(x, z, observed)
        return self._terms(image, mask, standard_normal_kl(mean, log_variance))

    @torch.no_grad()
    def fit_generation(self, x: Sequence[Tensor], held_out: Sequence[Tensor]) -> None:
        """Fits :attr:`latent` and the filter of images."""
        codes, classes = [], []
        for batch in x:
            codes.append(self.encode(batch))
            if self.n_classes:
                classes.append(self._class_planes(batch).argmax(dim=1))
        self.latent.fit(torch.cat(codes), classes=torch.cat(classes) if classes else None)
        self._fit_spectral_gain(x, codes)

    def _fit_spectral_gain(self, x: Sequence[Tensor], codes: Sequence[Tensor]) -> None:
        images = slice(0, self.image_channels)
        decoded = [self.decoded_mean(self._code(part, z))[:, images] for part, z in zip(x, codes, strict=True)]
        self.spectral_gain.fit([part[:, images] for part in x], decoded)

    def _encoded(self, x: Tensor) -> Tensor:
        """The encoder's features; it reads the class as one more channel."""
        if self.n_classes:
            channel = self.class_channel(self._class_planes(x)).view(len(x), 1, *self.spatial_shape)
            x = torch.cat([x[:, : -self.n_classes], channel.to(x.dtype)], dim=1)
        features: Tensor = self.encoder(x)
        return features

    def _posterior_of(self, features: Tensor) -> tuple[Tensor, Tensor]:
        mean, log_variance = self.to_posterior(features.flatten(1)).float().chunk(2, dim=1)
        return mean, log_variance.clamp(-12.0, 2.0)

    def _noise(self, like: Tensor, generator: torch.Generator | None) -> Tensor:
        return torch.randn(like.shape, generator=generator, dtype=torch.float32).to(like)

    def _terms(self, image: Tensor, mask: Tensor, kl: Tensor) -> dict[str, Tensor]:
        negative = kl - image - mask
        loss = negative.mean() / (self.image_channels * self._n_voxels)
        return {"loss": loss, "image": -image.mean(), "mask": -mask.mean(), "kl": kl.mean()}
