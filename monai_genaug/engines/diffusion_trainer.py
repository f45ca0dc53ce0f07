# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Trains a diffusion model."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, cast

import torch
from ignite.engine import Engine
from monai.engines import Trainer
from monai.engines.utils import IterationEvents, default_metric_cmp_fn

from monai_genaug.engines.diffusion_step import check_mask_key, diffusion_loss, read_diffusion_batch
from monai_genaug.engines.elbo_step import autocast_for
from monai_genaug.engines.gan_checks import check_optimizer
from monai_genaug.engines.gan_step import ClassBatchKeys, copy_from_first_rank, moving_average, seeded
from monai_genaug.engines.optimizer_step import check_max_epochs, checked_step, gradient_limit
from monai_genaug.generators import current_rank, derive_seed
from monai_genaug.generators.freed_memory import TRAINING_MIB, keep_freed_memory
from monai_genaug.networks import DiffusionDecoder

__all__ = ["DiffusionTrainer"]


class DiffusionTrainer(Trainer):
    """Ignite engine that teaches a :class:`~monai_genaug.networks.DiffusionDecoder` to remove noise.

    What the network predicts (the noise, the data, a velocity) follows from the scheduler of its process. A first stage
    is not trained: :class:`AutoencoderTrainer` does that before. The random numbers of iteration i (timesteps, noise,
    hidden classes) are a function of (seed, i, rank) alone, so that a run that was resumed at i goes on as the
    uninterrupted one would have; the global ones stay as they are. With a process group of several ranks, gradients are
    averaged over them.

    Args:
        device: where to train; the network must be there.
        max_epochs: epochs to train.
        train_data_loader: yields dictionaries of batches.
        network: the diffusion model.
        optimizer: of parameters of ``network.unet``.
        seed: of all randomness here.
        image_key: key of the images, values in [0, 1].
        mask_key: key of the label maps; None for a model without masks.
        class_key: key of the class ids; None for an unconditional model.
        class_dropout: probability that an item's class is replaced by "no class", which guidance needs; nothing is
            replaced in a model that knows no "no class".
        ema_decay: of the moving average of the weights; None for no average.
        amp: ``"bfloat16"`` or None for float32.
        max_grad_norm: longer gradients are shortened to this norm; None for no limit.
        non_blocking, epoch_length, key_train_metric, additional_metrics, metric_cmp_fn, train_handlers: as in MONAI's
            ``SupervisedTrainer``.

    Attributes:
        averaged: what to generate with: the averaged model, in eval mode; without an average the network itself.
        parts: what a checkpoint needs besides network and optimizer.
        state.output: ``loss`` (mean squared error) and ``grad_norm`` as floats.

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
        class_key: str | None = None,
        class_dropout: float = 0.1,
        ema_decay: float | None = 0.999,
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
        if not 0.0 <= class_dropout < 1.0:
            raise ValueError(f"class_dropout is {class_dropout}, allowed: from 0 to below 1.")
        if (class_key is None) != (network.n_classes == 0):
            raise ValueError(f"class_key is {class_key!r}, but the network has n_classes={network.n_classes}.")
        check_mask_key(mask_key, network)
        autocast_for(torch.device(device), amp)
        check_optimizer("optimizer", optimizer, network.unet)
        copy_from_first_rank([*network.parameters(), *network.buffers()])
        self.network, self.optimizer, self.seed = network, optimizer, seed
        self.keys, self.mask_key, self.precision = ClassBatchKeys(image_key, class_key), mask_key, amp
        self.class_dropout = class_dropout
        self._average = None if ema_decay is None else moving_average(network, ema_decay)
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
    def averaged(self) -> DiffusionDecoder:
        """What to generate with."""
        return self.network if self._average is None else cast(DiffusionDecoder, self._average.module)

    @property
    def parts(self) -> dict[str, Any]:
        """What a checkpoint needs besides network and optimizer."""
        return {} if self._average is None else {"averaged": self._average}

    def _iteration(self, engine: Engine, batchdata: Mapping[str, Any]) -> dict[str, float]:
        device = engine.state.device
        batch = read_diffusion_batch(batchdata, self.network, self.keys, self.mask_key, device, self.non_blocking)
        self.network.train()
        if self.network.first_stage is not None:
            self.network.first_stage.eval()
        self.optimizer.zero_grad()
        with seeded(derive_seed("diffusion", self.seed, engine.state.iteration, current_rank()), device):
            loss = diffusion_loss(self.network, batch, self.class_dropout, self.precision)
            engine.fire_event(IterationEvents.LOSS_COMPLETED)
            loss.backward()
        engine.fire_event(IterationEvents.BACKWARD_COMPLETED)
        norm = checked_step(self.optimizer, loss, self.state, "network", self.max_grad_norm)
        if self._average is not None:
            self._average.update_parameters(self.network)
        engine.fire_event(IterationEvents.MODEL_COMPLETED)
        return {"loss": float(loss.detach()), "grad_norm": norm}
