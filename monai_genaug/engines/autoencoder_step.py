# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""The parts of a training step of an autoencoder: its losses, its discriminator, the scale of its codes."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from ignite.engine.events import State
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import Optimizer

from monai_genaug.engines.elbo_step import autocast_for
from monai_genaug.engines.gan_checks import check_optimizer
from monai_genaug.engines.gan_step import copy_from_first_rank, only_inputs
from monai_genaug.engines.optimizer_step import checked_step
from monai_genaug.losses.adversarial import check_adversarial_kind, discriminator_loss, generator_loss
from monai_genaug.networks import DiffusionDecoder

__all__ = ["AdversarialPart", "autoencoder_terms", "updated_scale"]

_SCALE_MEMORY = 0.99


def autoencoder_terms(
    network: DiffusionDecoder, x: Tensor, perceptual_loss: Callable[[Tensor, Tensor], Tensor] | None
) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
    """What the autoencoder makes of ``x``, by a draw of its codes, and how far off it is.

    Noise comes from torch's global random numbers of the CPU.

    Args:
        network: the model.
        x: ``(n, channels, *spatial_shape)``, see :meth:`DiffusionDecoder.image_space`.
        perceptual_loss: of image channels, or None.

    Returns:
        The reconstruction like ``x`` and the codes ``(n, *noise_shape)``, both float32, and the terms of the loss:
        ``reconstruction``, ``kl`` and, if there is such a loss, ``perceptual``; means over the batch.
    """
    mean, deviation = (part.float() for part in network.first_stage.encode(x))
    z = mean + deviation * torch.randn(mean.shape).to(mean)
    made = network.first_stage.decode(z).float()
    if made.shape != x.shape:
        raise ValueError(f"the autoencoder makes {tuple(made.shape)}, needed: {tuple(x.shape)}.")
    # arXiv 1312.6114, appendix B
    kl = 0.5 * (mean.square() + deviation.square() - 2.0 * deviation.log() - 1.0).flatten(1).sum(dim=1).mean()
    terms = {"reconstruction": functional.l1_loss(made, x), "kl": kl}
    if perceptual_loss is not None:
        channels = network.image_channels
        terms["perceptual"] = perceptual_loss(made[:, :channels], x[:, :channels]).float()
    return made, z, terms


def updated_scale(scale: Tensor, z: Tensor, iteration: int) -> Tensor:
    """The factor that brings codes to a standard deviation of 1, from an average over the last hundred or so batches.

    Args:
        scale: the factor before.
        z: codes of a batch.
        iteration: its number, from 1; nothing is remembered of what was before the first.
    """
    memory = min(_SCALE_MEMORY, (iteration - 1) / (iteration + 9))
    variance = memory * scale.square().reciprocal() + (1.0 - memory) * z.detach().var()
    return variance.rsqrt()


@dataclass
class AdversarialPart:
    """A discriminator that tells reconstructions from images, and what the autoencoder hears of it.

    Args:
        discriminator: see :class:`~monai_genaug.engines.AutoencoderTrainer`.
        optimizer: of its parameters.
        kind: objective.
        weight: of its verdict in the autoencoder's loss.
        start: iterations before it takes part.
        precision: of its passes.

    Raises:
        ValueError: a value that is not allowed.
    """

    discriminator: nn.Module
    optimizer: Optimizer
    kind: str
    weight: float
    start: int
    precision: str | None

    def __post_init__(self) -> None:
        check_adversarial_kind(self.kind)
        check_optimizer("d_optimizer", self.optimizer, self.discriminator)
        if not 0.0 <= self.weight < math.inf:
            raise ValueError(f"adversarial_weight is {self.weight}, allowed: finite numbers from 0.")
        if self.start < 0:
            raise ValueError(f"adversarial_start is {self.start}, allowed: 0 and more.")

    @property
    def parts(self) -> dict[str, Any]:
        """What a checkpoint needs."""
        return {"discriminator": self.discriminator, "d_optimizer": self.optimizer}

    def takes_part(self, iteration: int) -> bool:
        """Whether it does in this iteration, counted from 1."""
        return iteration > self.start

    def verdict(self, made: Tensor) -> Tensor:
        """How clearly reconstructions are found out; lower is better for the autoencoder."""
        self.discriminator.train()
        with only_inputs(self.discriminator):
            return generator_loss(self.kind, self._scores(made))

    def update(self, real: Tensor, made: Tensor, state: State) -> Tensor:
        """One step of the discriminator; returns its loss.

        Raises:
            NonFiniteLossError: the loss is not finite.
        """
        self.optimizer.zero_grad()
        loss = discriminator_loss(self.kind, self._scores(real), self._scores(made))
        loss.backward()
        checked_step(self.optimizer, loss, state, "discriminator")
        copy_from_first_rank(list(self.discriminator.buffers()))
        return loss.detach()

    def _scores(self, x: Tensor) -> Tensor:
        with autocast_for(x.device, self.precision):
            found = self.discriminator(x)
        scores: Tensor = found[-1] if isinstance(found, (list, tuple)) else found
        return scores.float()
