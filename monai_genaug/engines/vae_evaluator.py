# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Measures the lower bound of a VAE on held-out data."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from ignite.engine import Engine
from ignite.metrics import Average
from monai.engines import Evaluator
from monai.engines.utils import IterationEvents, default_metric_cmp_fn
from torch import Tensor

from monai_genaug.data.batch_keys import BatchKeys
from monai_genaug.engines.elbo_step import autocast_for, noise_generator
from monai_genaug.generators import current_rank, derive_seed
from monai_genaug.networks import LatentAutoencoder

__all__ = ["VAEEvaluator"]

_PARTS = ("image", "mask", "kl")


class VAEEvaluator(Evaluator):
    """Ignite engine that averages the lower bound over a loader, and over all ranks.

    The noise of a batch is a function of (seed, position of the batch, rank), the same in every epoch, so that epochs
    differ by their weights alone. The loader must not shuffle.

    Args:
        device: where to evaluate; the network must be there.
        val_data_loader: yields dictionaries of batches, always in the same order.
        network: the VAE.
        seed: of the noise.
        image_key, mask_key, observed_key, class_key, amp: as in :class:`VAETrainer`.
        non_blocking, epoch_length, additional_metrics, metric_cmp_fn, val_handlers: as in MONAI's
            ``SupervisedEvaluator``.

    Attributes:
        state.metrics: ``val_elbo``, the key metric: mean lower bound in nats per image element, higher is better;
            ``val_image``, ``val_mask`` (negative log likelihoods) and ``val_kl`` in nats per item.
        state.output: the batch's ``loss``, ``image``, ``mask``, ``kl`` as floats, and ``count``, its number of items.
    """

    def __init__(
        self,
        device: torch.device | str,
        val_data_loader: Iterable[Any],
        network: LatentAutoencoder,
        seed: int = 0,
        image_key: str = "image",
        mask_key: str | None = "label",
        observed_key: str | None = None,
        class_key: str | None = None,
        amp: str | None = None,
        non_blocking: bool = False,
        epoch_length: int | None = None,
        additional_metrics: dict[str, Any] | None = None,
        metric_cmp_fn: Callable[..., bool] = default_metric_cmp_fn,
        val_handlers: Sequence[Any] | None = None,
    ) -> None:
        self.network, self.seed, self.precision = network, seed, amp
        self.keys = BatchKeys(image_key, mask_key, observed_key, class_key)
        autocast_for(torch.device(device), amp)
        parts = {f"val_{name}": _ItemMean(name) for name in _PARTS}
        super().__init__(
            device=device,
            val_data_loader=val_data_loader,
            epoch_length=epoch_length,
            non_blocking=non_blocking,
            key_val_metric={"val_elbo": _ItemMean("loss", sign=-1.0)},
            additional_metrics={**parts, **(additional_metrics or {})},
            metric_cmp_fn=metric_cmp_fn,
            val_handlers=val_handlers,
            decollate=False,
        )

    def _iteration(self, engine: Engine, batchdata: Mapping[str, Any]) -> dict[str, float]:
        device = engine.state.device
        x, observed = self.keys.read(batchdata, self.network, device, self.non_blocking)
        position = (engine.state.iteration - 1) % engine.state.epoch_length
        noise = noise_generator(derive_seed("validation", self.seed, position, current_rank()))
        with self.mode(self.network), autocast_for(device, self.precision):
            terms = self.network.elbo(x, observed, noise)
        engine.fire_event(IterationEvents.FORWARD_COMPLETED)
        engine.fire_event(IterationEvents.MODEL_COMPLETED)
        return {**{name: float(value) for name, value in terms.items()}, "count": float(len(x))}


class _ItemMean(Average):
    """Mean over items of an entry of the output; a batch's mean counts once per item, over all ranks."""

    def __init__(self, name: str, sign: float = 1.0) -> None:
        def one_row_per_item(output: Mapping[str, float]) -> Tensor:
            return torch.full((int(output["count"]), 1), sign * output[name], dtype=torch.float64)

        super().__init__(one_row_per_item)

    def compute(self) -> float:
        return float(super().compute())
