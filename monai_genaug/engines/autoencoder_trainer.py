# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Trains the autoencoder of a latent diffusion model."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from ignite.engine import Engine
from monai.engines import Trainer
from monai.engines.utils import IterationEvents, default_metric_cmp_fn
from torch import Tensor, nn

from monai_genaug.engines.autoencoder_step import AdversarialPart, autoencoder_terms, updated_scale
from monai_genaug.engines.diffusion_step import check_mask_key, read_diffusion_batch
from monai_genaug.engines.elbo_step import autocast_for
from monai_genaug.engines.gan_checks import check_batch_size, check_optimizer
from monai_genaug.engines.gan_step import ClassBatchKeys, copy_from_first_rank, seeded
from monai_genaug.engines.optimizer_step import check_max_epochs, checked_step, gradient_limit
from monai_genaug.generators import current_rank, derive_seed
from monai_genaug.generators.freed_memory import TRAINING_MIB, keep_freed_memory
from monai_genaug.networks import DiffusionDecoder

__all__ = ["AutoencoderTrainer"]


class AutoencoderTrainer(Trainer):
    """Ignite engine that trains the first stage of a latent diffusion model (Rombach et al., arXiv 2112.10752).

    The first stage is MONAI's ``AutoencoderKL``. It minimises the absolute error of what it decodes, plus small parts
    of the codes' Kullback-Leibler divergence to the standard normal and, where they are given, of a perceptual loss and
    of a discriminator's verdict (section 3.1). The network's ``scale_factor`` becomes the inverse of the standard
    deviation of the codes, so that :class:`DiffusionTrainer`, which comes next, sees one of 1 (section D.1).

    The random numbers of iteration i are a function of (seed, i, rank) alone, so that a run that was resumed at i goes
    on as the uninterrupted one would have; the global ones stay as they are. With a process group of several ranks,
    gradients are averaged over them.

    Args:
        device: where to train; the network must be there.
        max_epochs: epochs to train.
        train_data_loader: yields dictionaries of batches.
        network: the diffusion model whose ``first_stage`` is trained.
        optimizer: of parameters of ``network.first_stage``.
        seed: of all randomness here.
        image_key: key of the images, values in [0, 1].
        mask_key: key of the label maps; None for a model without masks.
        kl_weight: of the divergence, which is a sum over the code, in nats.
        perceptual_loss: called with reconstructed and real images ``(n, image_channels, *spatial_shape)``, such as
            MONAI's ``PerceptualLoss``; None for none.
        perceptual_weight: of the perceptual loss.
        discriminator: called with image and one-hot mask as the autoencoder sees them; returns scores of any shape, or
            a list that ends with them, as MONAI's ``PatchDiscriminator``. None for none.
        d_optimizer: of the discriminator's parameters.
        adversarial: objective, see :mod:`monai_genaug.losses.adversarial`.
        adversarial_weight: of the discriminator's verdict.
        adversarial_start: iterations before the discriminator takes part.
        amp: ``"bfloat16"`` or None for float32.
        max_grad_norm: longer gradients of the autoencoder are shortened to this norm; None for no limit.
        non_blocking, epoch_length, key_train_metric, additional_metrics, metric_cmp_fn, train_handlers: as in MONAI's
            ``SupervisedTrainer``.

    Attributes:
        parts: what a checkpoint needs besides network and optimizer.
        state.output: floats of this rank's batch. ``loss``: all together; ``reconstruction``: mean absolute error in
            units of the model's images; ``kl`` in nats; ``perceptual``, ``adversarial`` and ``d_loss`` where there are
            some, all without their weights; ``grad_norm``.

    Raises:
        ValueError: an argument that is not allowed.
        NonFiniteLossError: in training, on all ranks alike.
    """

    def __init__(
        self,
        device: torch.device | str,
        max_epochs: int,
        train_data_loader: Iterable[Any],
        network: DiffusionDecoder,
        optimizer: torch.optim.Optimizer,
        seed: int = 0,
        image_key: str = "image",
        mask_key: str | None = None,
        kl_weight: float = 1e-6,
        perceptual_loss: Callable[[Tensor, Tensor], Tensor] | None = None,
        perceptual_weight: float = 1e-3,
        discriminator: nn.Module | None = None,
        d_optimizer: torch.optim.Optimizer | None = None,
        adversarial: str = "hinge",
        adversarial_weight: float = 1e-2,
        adversarial_start: int = 0,
        amp: str | None = None,
        max_grad_norm: float | None = 1.0,
        non_blocking: bool = False,
        epoch_length: int | None = None,
        key_train_metric: dict[str, Any] | None = None,
        additional_metrics: dict[str, Any] | None = None,
        metric_cmp_fn: Callable[..., bool] = default_metric_cmp_fn,
        train_handlers: Sequence[Any] | None = None,
    ) -> None:
        check_max_epochs(max_epochs)
        self.max_grad_norm = gradient_limit(max_grad_norm)
        for name, weight in (("kl_weight", kl_weight), ("perceptual_weight", perceptual_weight)):
            if not 0.0 <= weight < math.inf:
                raise ValueError(f"{name} is {weight}, allowed: finite numbers from 0.")
        check_mask_key(mask_key, network)
        autocast_for(torch.device(device), amp)
        check_optimizer("optimizer", optimizer, network.autoencoder())
        self._against = None
        if discriminator is not None and d_optimizer is not None:
            self._against = AdversarialPart(
                discriminator, d_optimizer, adversarial, adversarial_weight, adversarial_start, amp
            )
        elif discriminator is not None or d_optimizer is not None:
            missing = "d_optimizer" if d_optimizer is None else "discriminator"
            raise ValueError(f"{missing} is missing: give discriminator and d_optimizer, or neither.")
        for module in (network, *([] if discriminator is None else [discriminator])):
            copy_from_first_rank([*module.parameters(), *module.buffers()])
        self.network, self.optimizer, self.seed = network, optimizer, seed
        self.keys, self.mask_key, self.precision = ClassBatchKeys(image_key), mask_key, amp
        self.weights = {"reconstruction": 1.0, "kl": kl_weight, "perceptual": perceptual_weight}
        self.perceptual_loss = perceptual_loss
        keep_freed_memory(device, TRAINING_MIB)
        super().__init__(
            device=device,
            max_epochs=max_epochs,
            data_loader=train_data_loader,
            epoch_length=epoch_length,
            non_blocking=non_blocking,
            key_metric=key_train_metric,
            additional_metrics=additional_metrics,
            metric_cmp_fn=metric_cmp_fn,
            handlers=train_handlers,
            decollate=False,
        )

    @property
    def parts(self) -> dict[str, Any]:
        """What a checkpoint needs besides network and optimizer."""
        return {} if self._against is None else self._against.parts

    def _iteration(self, engine: Engine, batchdata: Mapping[str, Any]) -> dict[str, float]:
        device, iteration = engine.state.device, engine.state.iteration
        batch = read_diffusion_batch(batchdata, self.network, self.keys, self.mask_key, device, self.non_blocking)
        x = self.network.image_space(batch.image, batch.mask)
        against = self._against if self._against is not None and self._against.takes_part(iteration) else None
        check_batch_size(len(x), self.network.first_stage, *([] if against is None else [against.discriminator]))
        self.network.first_stage.train()
        self.optimizer.zero_grad()
        with seeded(derive_seed("autoencoder", self.seed, iteration, current_rank()), device):
            with autocast_for(device, self.precision):
                made, z, terms = autoencoder_terms(self.network, x, self.perceptual_loss)
            loss = torch.stack([self.weights[name] * term for name, term in terms.items()]).sum()
            if against is not None:
                terms["adversarial"] = against.verdict(made)
                loss = loss + against.weight * terms["adversarial"]
            engine.fire_event(IterationEvents.LOSS_COMPLETED)
            loss.backward()
            engine.fire_event(IterationEvents.BACKWARD_COMPLETED)
            norm = checked_step(self.optimizer, loss, self.state, "autoencoder", self.max_grad_norm)
            if against is not None:
                terms["d_loss"] = against.update(x, made.detach(), self.state)
        self.network.scale_factor.copy_(updated_scale(self.network.scale_factor, z, iteration))
        copy_from_first_rank([self.network.scale_factor])
        engine.fire_event(IterationEvents.MODEL_COMPLETED)
        return {
            "loss": float(loss.detach()),
            **{n: float(term.detach()) for n, term in terms.items()},
            "grad_norm": norm,
        }
