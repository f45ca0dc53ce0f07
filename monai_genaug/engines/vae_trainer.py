# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Trains a VAE by its lower bound."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from ignite.engine import Engine
from monai.engines import Trainer
from monai.engines.utils import IterationEvents, default_metric_cmp_fn
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.nn.utils import clip_grad_norm_

from monai_genaug.data.batch_keys import BatchKeys
from monai_genaug.engines.elbo_step import ElboModule, autocast_for, noise_generator
from monai_genaug.engines.optimizer_step import check_max_epochs, gradient_limit, not_finite
from monai_genaug.generators import current_rank, derive_seed
from monai_genaug.generators.freed_memory import TRAINING_MIB, keep_freed_memory
from monai_genaug.networks import LatentAutoencoder, PerClassVAE

__all__ = ["VAETrainer"]


class VAETrainer(Trainer):
    """Ignite engine that maximises the lower bound of a :class:`~monai_genaug.networks.LatentAutoencoder`.

    The noise of iteration i is a function of (seed, i, rank) alone, so that a run that was resumed at i goes on as the
    uninterrupted one would have. With a process group of several ranks, gradients are averaged over them.

    Args:
        device: where to train; the network must be there.
        max_epochs: epochs to train.
        train_data_loader: yields dictionaries of batches.
        network: the VAE.
        optimizer: of the network's parameters.
        seed: of the noise.
        image_key: key of the images, values in [0, 1].
        mask_key: key of the label maps; None for a network without masks.
        observed_key: key of field-of-view masks, see :meth:`LatentAutoencoder.elbo`; None if everything was measured.
        class_key: key of the classes; None for an unconditional network.
        amp: ``"bfloat16"`` or None for float32.
        max_grad_norm: longer gradients are shortened to this norm; None for no limit.
        non_blocking, epoch_length, key_train_metric, additional_metrics, metric_cmp_fn, train_handlers: as in MONAI's
            ``SupervisedTrainer``.

    Attributes:
        state.output: ``loss`` (nats per image element), ``image``, ``mask``, ``kl`` (nats) and ``grad_norm`` of the
            batch of this rank, as floats.

    Raises:
        ValueError: an argument that is not allowed.
        NonFiniteLossError: in training, on all ranks alike.
    """

    def __init__(
        self,
        device: torch.device | str,
        max_epochs: int,
        train_data_loader: Iterable[Any],
        network: LatentAutoencoder,
        optimizer: torch.optim.Optimizer,
        seed: int = 0,
        image_key: str = "image",
        mask_key: str | None = "label",
        observed_key: str | None = None,
        class_key: str | None = None,
        amp: str | None = None,
        max_grad_norm: float | None = None,
        non_blocking: bool = False,
        epoch_length: int | None = None,
        key_train_metric: dict[str, Any] | None = None,
        additional_metrics: dict[str, Any] | None = None,
        metric_cmp_fn: Callable[..., bool] = default_metric_cmp_fn,
        train_handlers: Sequence[Any] | None = None,
    ) -> None:
        check_max_epochs(max_epochs)
        self.max_grad_norm = gradient_limit(max_grad_norm)
        self.network, self.optimizer, self.seed = network, optimizer, seed
        self.keys, self.precision = BatchKeys(image_key, mask_key, observed_key, class_key), amp
        autocast_for(torch.device(device), amp)
        self.module = _distributed(network)
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

    def _iteration(self, engine: Engine, batchdata: Mapping[str, Any]) -> dict[str, float]:
        device = engine.state.device
        x, observed = self.keys.read(batchdata, self.network, device, self.non_blocking)
        noise = noise_generator(derive_seed("noise", self.seed, engine.state.iteration, current_rank()))
        self.network.train()
        self.optimizer.zero_grad()
        try:
            with autocast_for(device, self.precision):
                terms = self.module(x, observed, noise)
        except torch.linalg.LinAlgError as error:  # type: ignore[attr-defined]  # a metric is not finite
            raise not_finite(self.state, str(error)) from error
        engine.fire_event(IterationEvents.LOSS_COMPLETED)
        terms["loss"].backward()
        engine.fire_event(IterationEvents.BACKWARD_COMPLETED)
        norm = clip_grad_norm_(self.network.parameters(), self.max_grad_norm)
        output = {name: float(value.detach()) for name, value in {**terms, "grad_norm": norm}.items()}
        self._check_finite(output)
        self.optimizer.step()
        engine.fire_event(IterationEvents.MODEL_COMPLETED)
        return output

    def _check_finite(self, output: Mapping[str, float]) -> None:
        """One rank's bad loss makes the averaged gradient bad on every rank, so that all of them stop."""
        bad = {name: value for name, value in output.items() if not math.isfinite(value)}
        if bad:
            raise not_finite(self.state, f"{bad}.")


def _distributed(network: LatentAutoencoder) -> nn.Module:
    module = ElboModule(network)
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return module
    if torch.distributed.get_world_size() == 1:
        return module
    # a batch need not have every class, whose member then takes no part
    return DistributedDataParallel(module, find_unused_parameters=isinstance(network, PerClassVAE))
