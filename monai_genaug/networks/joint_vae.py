# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""VAE with a continuous and a discrete latent code.

Dupont, "Learning disentangled joint continuous and discrete representations", arXiv 1804.00104.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from monai_genaug.latent import JointLatent, latent_by_name
from monai_genaug.losses import (
    gumbel_softmax_draw,
    linear_capacity,
    standard_normal_kl,
    uniform_categorical_kl,
)
from monai_genaug.networks.vae import VAE

__all__ = ["JointVAE"]

_EPSILON = 1e-6


class JointVAE(VAE):
    """Joint VAE of images and label maps, in 2D and 3D.

    A code is a continuous part z with a normal prior and one category c of ``n_categories`` as a one-hot vector,
    relaxed by the Gumbel-softmax in training. The objective (eq. 7) holds the information that each part carries at a
    capacity that grows during training::

        log p(x|z, c) - gamma |KL(q(z|x)||p(z)) - C_z| - gamma |KL(q(c|x)||p(c)) - C_c|

    With 100 continuous dimensions, 50 categories, ``channels=(32, 64, 128, 256, 512)`` and the ``"batch_norm"`` stack
    at 28 x 28 pixels these are the layers of Le Roux, figures 22 and 23.

    Args:
        continuous_dim: dimensions of z.
        n_categories: categories of c, 2 and more.
        capacity_continuous, capacity_discrete: final C_z and C_c in nats; C_c is at most log ``n_categories``.
        capacity_steps: iterations until they are reached.
        capacity_weight: gamma.
        gumbel_temperature: tau of the Gumbel-softmax.
        latent: name of the distribution of new z, see :func:`latent_by_name`.
        spatial_dims, spatial_shape, image_channels, mask_classes, channels, likelihood, stack: as in :class:`VAE`.

    Attributes:
        latent_dim: ``continuous_dim + n_categories``.
        n_updates: buffer, training iterations so far.

    Raises:
        ValueError: a value that is not allowed.
    """

    n_updates: Tensor

    def __init__(
        self,
        spatial_dims: int,
        spatial_shape: Sequence[int],
        image_channels: int = 1,
        mask_classes: int = 0,
        continuous_dim: int = 16,
        n_categories: int = 10,
        channels: Sequence[int] = (32, 64, 128, 256, 512),
        likelihood: str = "gaussian",
        capacity_continuous: float = 30.0,
        capacity_discrete: float = 5.0,
        capacity_steps: int = 25_000,
        capacity_weight: float = 30.0,
        gumbel_temperature: float = 0.67,
        latent: str = "normal",
        stack: str = "batch_norm",
    ) -> None:
        positive = {
            "capacity_continuous": capacity_continuous,
            "capacity_discrete": capacity_discrete,
            "capacity_steps": capacity_steps,
            "capacity_weight": capacity_weight,
            "gumbel_temperature": gumbel_temperature,
        }
        wrong = {name: value for name, value in positive.items() if not (value > 0 and math.isfinite(value))}
        if wrong:
            raise ValueError(f"{wrong}: all must be positive and finite.")
        joint = JointLatent(latent_by_name(latent, continuous_dim), n_categories)
        self.continuous_dim, self.n_categories = continuous_dim, n_categories
        super().__init__(
            spatial_dims,
            spatial_shape,
            image_channels,
            mask_classes,
            joint.latent_dim,
            channels,
            likelihood,
            joint,
            stack,
        )
        self.capacity_continuous = capacity_continuous
        self.capacity_discrete = min(capacity_discrete, math.log(n_categories))
        self.capacity_steps, self.capacity_weight = capacity_steps, capacity_weight
        self.gumbel_temperature = gumbel_temperature
        self.register_buffer("n_updates", torch.zeros((), dtype=torch.long))

    @property
    def _posterior_size(self) -> int:
        return 2 * self.continuous_dim + self.n_categories

    def joint_posterior(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Mean and log variance ``(n, continuous_dim)`` of q(z|x), logits ``(n, n_categories)`` of q(c|x)."""
        raw = self.to_posterior(self._encoded(x).flatten(1)).float()
        mean, log_variance, logits = raw.split([self.continuous_dim, self.continuous_dim, self.n_categories], dim=1)
        return mean, log_variance.clamp(-12.0, 2.0), logits

    def encode(self, x: Tensor, noise: Tensor | None = None) -> Tensor:
        """Codes ``(n, latent_dim)``: the mean of z and the probabilities of c, or a draw of z and a one-hot c.

        Args:
            x: as :meth:`join` makes it.
            noise: standard normal numbers ``(n, noise_dim)`` of the draw.
        """
        mean, log_variance, logits = self.joint_posterior(x)
        if noise is None:
            return torch.cat([mean, functional.softmax(logits, dim=1)], dim=1)
        of_z, of_c = noise.split([self.continuous_dim, self.n_categories], dim=1)
        uniform = torch.special.ndtr(of_c.double()).clamp(1e-12, 1.0 - 1e-12)
        # the Gumbel-max trick: the largest perturbed logit is a draw from q(c|x)
        category = gumbel_softmax_draw(logits.double(), uniform, temperature=1.0).argmax(dim=1)
        one_hot = functional.one_hot(category, self.n_categories)
        return torch.cat([mean + torch.exp(0.5 * log_variance) * of_z, one_hot.to(mean)], dim=1)

    def elbo(
        self, x: Tensor, observed: Tensor | None = None, generator: torch.Generator | None = None
    ) -> dict[str, Tensor]:
        """See :meth:`VAE.elbo`; ``kl`` is gamma times both distances from the capacities.

        Also ``kl_continuous`` and ``kl_discrete``, in nats.
        """
        mean, log_variance, logits = self.joint_posterior(x)
        z = mean + torch.exp(0.5 * log_variance) * self._noise(mean, generator)
        uniform = torch.rand(logits.shape, generator=generator).clamp(_EPSILON, 1.0 - _EPSILON).to(logits)
        c = gumbel_softmax_draw(logits, uniform, self.gumbel_temperature)
        image, mask = self.log_likelihood(x, torch.cat([z, c], dim=1), observed)
        continuous, discrete = standard_normal_kl(mean, log_variance).mean(), uniform_categorical_kl(logits).mean()
        if self.training:
            self.n_updates += 1
        away = (continuous - linear_capacity(self.n_updates, self.capacity_steps, self.capacity_continuous)).abs() + (
            discrete - linear_capacity(self.n_updates, self.capacity_steps, self.capacity_discrete)
        ).abs()
        terms = self._terms(image, mask, self.capacity_weight * away.to(image))
        return {**terms, "kl_continuous": continuous, "kl_discrete": discrete}
