# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Trains a generator against a discriminator."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, cast

import torch
from ignite.engine import Engine
from monai.engines import Trainer
from monai.engines.utils import IterationEvents, default_metric_cmp_fn
from torch import Tensor, nn
from torch.nn import functional

from monai_genaug.engines.elbo_step import autocast_for
from monai_genaug.engines.gan_checks import check_batch_size, check_gan_networks, check_optimizer
from monai_genaug.engines.gan_step import ClassBatchKeys, copy_from_first_rank, moving_average, only_inputs, seeded
from monai_genaug.engines.optimizer_step import checked_step
from monai_genaug.generators import current_rank, derive_seed
from monai_genaug.generators.freed_memory import TRAINING_MIB, keep_freed_memory
from monai_genaug.losses.adversarial import check_adversarial_kind, discriminator_loss, generator_loss
from monai_genaug.losses.gradient_penalty import gradient_penalty as slope_penalty
from monai_genaug.networks.latent_decoder import LatentDecoder

__all__ = ["LatentGANTrainer"]


class LatentGANTrainer(Trainer):
    """Ignite engine of generative adversarial training, with or without classes.

    One iteration is one batch of n real images against n generated ones of the same classes. It updates the
    discriminator and, if its number is a multiple of ``n_critic``, the generator. The random numbers of iteration i
    (latents, dropout, augmentation, penalty) are a function of (seed, i, rank) alone, so that a run that was resumed
    at i goes on as the uninterrupted one would have; the global ones stay as they are. With a process group of several
    ranks, gradients are averaged over them.

    MONAI's ``GanTrainer`` is unconditional, makes ``batch_size`` fakes also for a shorter last batch, fails with
    several critic steps, and has neither penalty, mixed precision nor averaged weights.

    Args:
        device: where to train; the networks must be there.
        max_epochs: epochs to train.
        train_data_loader: yields dictionaries of batches.
        generator: the generator.
        discriminator: called with images and one-hot classes ``(n, n_classes)`` or None; returns scores ``(n,)`` and
            class logits ``(n, n_classes)`` or None. Attributes ``n_classes`` and ``has_batch_norm``.
        g_optimizer, d_optimizer: of the generator's and the discriminator's parameters.
        seed: of all randomness here.
        image_key: key of the images, values in [0, 1].
        class_key: key of the class ids; None for an unconditional generator.
        adversarial: objective, see :mod:`monai_genaug.losses.adversarial`.
        gradient_penalty: weight of the critic's gradient penalty (10 in its paper); 0 for none.
        n_critic: critic steps per generator step.
        class_weight: weight of the cross entropy of the class logits: of real images for the discriminator, of fakes
            for the generator.
        augment: applied to all images that the discriminator sees, such as
            :class:`~monai_genaug.networks.layers.differentiable_augmentation.DifferentiableAugmentation`.
        ema_decay: of the moving average of the generator's weights; None for no average.
        amp: ``"bfloat16"`` or None for float32; the penalty is always computed in float32.
        non_blocking, epoch_length, key_train_metric, additional_metrics, metric_cmp_fn, train_handlers: as in MONAI's
            ``SupervisedTrainer``.

    Attributes:
        averaged: what to generate with: the averaged generator, in eval mode; without an average the generator itself.
        parts: what a checkpoint needs besides generator and ``g_optimizer``.
        state.output: floats of this rank's batch. ``d_loss`` and, where the generator was updated, ``g_loss``: the
            adversarial objectives; ``real_score``, ``fake_score``: mean scores; ``d_class``, ``g_class``: cross
            entropies of class logits; ``penalty``: the gradient penalty. The last three without their weights.

    Raises:
        ValueError: an argument that is not allowed.
        NonFiniteLossError: in training, on all ranks alike.
    """

    def __init__(
        self,
        device: torch.device | str,
        max_epochs: int,
        train_data_loader: Iterable[Any],
        generator: LatentDecoder,
        discriminator: nn.Module,
        g_optimizer: torch.optim.Optimizer,
        d_optimizer: torch.optim.Optimizer,
        seed: int = 0,
        image_key: str = "image",
        class_key: str | None = None,
        adversarial: str = "bce",
        gradient_penalty: float = 0.0,
        n_critic: int = 1,
        class_weight: float = 1.0,
        augment: nn.Module | None = None,
        ema_decay: float | None = 0.999,
        amp: str | None = None,
        non_blocking: bool = False,
        epoch_length: int | None = None,
        key_train_metric: dict[str, Any] | None = None,
        additional_metrics: dict[str, Any] | None = None,
        metric_cmp_fn: Callable[..., bool] = default_metric_cmp_fn,
        train_handlers: Sequence[Any] | None = None,
    ) -> None:
        for name, count in (("max_epochs", max_epochs), ("n_critic", n_critic)):
            if count < 1:
                raise ValueError(f"{name} is {count}, allowed: 1 and more.")
        for name, weight in (("gradient_penalty", gradient_penalty), ("class_weight", class_weight)):
            if not 0.0 <= weight < math.inf:
                raise ValueError(f"{name} is {weight}, allowed: finite numbers from 0.")
        check_adversarial_kind(adversarial)
        autocast_for(torch.device(device), amp)
        check_gan_networks(generator, discriminator, class_key, gradient_penalty)
        check_optimizer("g_optimizer", g_optimizer, generator)
        check_optimizer("d_optimizer", d_optimizer, discriminator)
        for network in (generator, discriminator):
            copy_from_first_rank([*network.parameters(), *network.buffers()])
        self.generator, self.discriminator, self.seed = generator, discriminator, seed
        self.g_optimizer, self.d_optimizer = g_optimizer, d_optimizer
        self.keys, self.precision = ClassBatchKeys(image_key, class_key), amp
        self.adversarial, self.gradient_penalty, self.n_critic = adversarial, gradient_penalty, n_critic
        self.class_weight, self.augment = class_weight, nn.Identity() if augment is None else augment
        self._average = None if ema_decay is None else moving_average(generator, ema_decay)
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
    def averaged(self) -> LatentDecoder:
        """What to generate with."""
        return self.generator if self._average is None else cast(LatentDecoder, self._average.module)

    @property
    def parts(self) -> dict[str, Any]:
        """What a checkpoint needs besides generator and ``g_optimizer``."""
        found = {"discriminator": self.discriminator, "d_optimizer": self.d_optimizer}
        return found if self._average is None else {**found, "averaged": self._average}

    def _iteration(self, engine: Engine, batchdata: Mapping[str, Any]) -> dict[str, float]:
        device, iteration = engine.state.device, engine.state.iteration
        real, classes = self.keys.read(batchdata, self.generator, device, self.non_blocking)
        check_batch_size(len(real), self.generator, self.discriminator)
        self.generator.train()
        self.discriminator.train()
        with seeded(derive_seed("gan", self.seed, iteration, current_rank()), device):
            updates_generator = iteration % self.n_critic == 0
            z = torch.randn(len(real), self.generator.latent_dim).to(device)
            code = self.generator.with_class(z, classes)
            with autocast_for(device, self.precision), torch.set_grad_enabled(updates_generator):
                fake = self.generator(code).float()
            output = self._update_discriminator(self.augment(real), self.augment(fake.detach()), classes)
            if updates_generator:
                output |= self._update_generator(fake, classes)
        for network in (self.generator, self.discriminator):
            copy_from_first_rank(list(network.buffers()))
        if updates_generator and self._average is not None:
            self._average.update_parameters(self.generator)
        engine.fire_event(IterationEvents.MODEL_COMPLETED)
        return {name: float(value.detach()) for name, value in output.items()}

    def _update_discriminator(self, real: Tensor, fake: Tensor, classes: Tensor | None) -> dict[str, Tensor]:
        real_scores, logits = self._judged(real, classes)
        fake_scores, _ = self._judged(fake, classes)
        loss = discriminator_loss(self.adversarial, real_scores, fake_scores)
        output = {"d_loss": loss, "real_score": real_scores.mean(), "fake_score": fake_scores.mean()}
        if logits is not None and classes is not None:
            output["d_class"] = functional.cross_entropy(logits, classes)
            loss = loss + self.class_weight * output["d_class"]
        if self.gradient_penalty:
            one_hot, mix = self._one_hot(classes), torch.rand(len(real)).to(real)
            output["penalty"] = slope_penalty(lambda x: self.discriminator(x, one_hot)[0], real, fake, mix)
            loss = loss + self.gradient_penalty * output["penalty"]
        self._step(self.d_optimizer, loss, "discriminator")
        return output

    def _update_generator(self, fake: Tensor, classes: Tensor | None) -> dict[str, Tensor]:
        with only_inputs(self.discriminator):
            scores, logits = self._judged(self.augment(fake), classes)
            loss = generator_loss(self.adversarial, scores)
            output = {"g_loss": loss}
            if logits is not None and classes is not None:
                output["g_class"] = functional.cross_entropy(logits, classes)
                loss = loss + self.class_weight * output["g_class"]
            self._step(self.g_optimizer, loss, "generator")
        return output

    def _judged(self, images: Tensor, classes: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Scores and class logits, in float32."""
        with autocast_for(images.device, self.precision):
            scores, logits = self.discriminator(images, self._one_hot(classes))
        return scores.float(), None if logits is None else logits.float()

    def _one_hot(self, classes: Tensor | None) -> Tensor | None:
        return None if classes is None else functional.one_hot(classes, self.generator.n_classes).float()

    def _step(self, optimizer: torch.optim.Optimizer, loss: Tensor, who: str) -> None:
        optimizer.zero_grad()
        loss.backward()
        checked_step(optimizer, loss, self.state, who)
