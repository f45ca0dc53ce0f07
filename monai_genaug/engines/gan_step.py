# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""The parts of an adversarial training step: its batch, its random numbers, its gradients, its moving average."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from monai_genaug.data.batch_keys import batch_tensor
from monai_genaug.networks.latent_decoder import LatentDecoder

__all__ = ["ClassBatchKeys", "average_over_ranks", "copy_from_first_rank", "moving_average", "only_inputs", "seeded"]

_TOLERANCE = 1e-3  # of interpolation and rounding


@dataclass(frozen=True)
class ClassBatchKeys:
    """Where a batch holds the images and the classes that a GAN reads.

    Attributes:
        image: key of images ``(n, image_channels, *spatial_shape)`` in [0, 1].
        class_id: key of class ids, ``(n,)`` or ``(n, 1)``; None for an unconditional generator.
    """

    image: str
    class_id: str | None = None

    def read(
        self, batch: Mapping[str, Any], generator: LatentDecoder, device: torch.device, non_blocking: bool = False
    ) -> tuple[Tensor, Tensor | None]:
        """Images, float32, and class ids ``(n,)``, on the device.

        Raises:
            KeyError: a key that the batch doesn't have; the ones it has are listed.
            ValueError: images or classes that don't fit the generator.
        """
        images = batch_tensor(batch, self.image).float()
        needed = (generator.image_channels, *generator.spatial_shape)
        if images.shape[1:] != needed:
            raise ValueError(f"image is {tuple(images.shape)}, needed: {('n', *needed)}.")
        low, high = float(images.min()), float(images.max())
        if low < -_TOLERANCE or high > 1.0 + _TOLERANCE:  # not for NaN, which is the loss's matter
            raise ValueError(f"{self.image!r} holds values from {low:.4g} to {high:.4g}, allowed: 0 to 1.")
        if self.class_id is None:
            return images.to(device, non_blocking=non_blocking), None
        found = batch_tensor(batch, self.class_id)
        classes = found.long()
        if found.shape not in ((len(images),), (len(images), 1)) or not torch.equal(classes.to(found), found):
            raise ValueError(f"{self.class_id!r} is {found}, needed: one integer class id per image.")
        classes = classes.reshape(-1)
        return images.to(device, non_blocking=non_blocking), classes.to(device, non_blocking=non_blocking)


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Inside, the global random numbers of CPU and device are functions of the seed; afterwards they are as before."""
    is_cuda = device.type == "cuda"
    with torch.random.fork_rng([device] if is_cuda else [], device_type="cuda"):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would move the generators of all devices
        if is_cuda:
            with torch.cuda.device(device):
                torch.cuda.manual_seed(seed)
        yield


@contextmanager
def only_inputs(module: nn.Module) -> Iterator[None]:
    """Inside, gradients flow through the module to its inputs, but its parameters collect none."""
    learning = [parameter for parameter in module.parameters() if parameter.requires_grad]
    for parameter in learning:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in learning:
            parameter.requires_grad_(True)


def moving_average(network: nn.Module, decay: float) -> AveragedModel:
    """Exponential moving average of a network's parameters and buffers, in eval mode and without gradients.

    The decay after t updates is at most (1 + t) / (10 + t), so that a short training is not dominated by its first
    weights. Integer buffers are copied.

    Raises:
        ValueError: a decay outside of [0, 1).
    """
    if not 0.0 <= decay < 1.0:
        raise ValueError(f"ema_decay is {decay}, allowed: 0 to below 1, and None.")

    def update(averages: Sequence[Tensor], current: Sequence[Tensor], n_averaged: Tensor | int) -> None:
        if averages[0].is_floating_point():
            t = int(n_averaged)
            get_ema_multi_avg_fn(min(decay, (1 + t) / (10 + t)))(averages, current, n_averaged)
        else:
            for average, value in zip(averages, current, strict=True):
                average.copy_(value)

    averaged = AveragedModel(network, multi_avg_fn=update, use_buffers=True)
    return averaged.eval().requires_grad_(False)


def average_over_ranks(parameters: Sequence[nn.Parameter], loss: Tensor) -> tuple[float, float]:
    """Averages the gradients over the ranks, as ``DistributedDataParallel`` does, which hides a network's methods.

    Returns:
        Mean loss over the ranks, and the norm of the averaged gradient: the same numbers on all ranks.
    """
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    mean = loss.detach()
    if _world_size() > 1:
        flat = torch.cat([mean.reshape(1), *(gradient.flatten() for gradient in gradients)])
        torch.distributed.all_reduce(flat)
        mean, *parts = (flat / _world_size()).split([1, *(gradient.numel() for gradient in gradients)])
        for gradient, part in zip(gradients, parts, strict=True):
            gradient.copy_(part.view_as(gradient))
    return float(mean), float(nn.utils.get_total_norm(gradients)) if gradients else math.nan


def copy_from_first_rank(tensors: Sequence[Tensor]) -> None:
    """Gives all ranks what rank 0 has."""
    if _world_size() > 1:
        for tensor in tensors:
            torch.distributed.broadcast(tensor.detach(), 0)


def _world_size() -> int:
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return torch.distributed.get_world_size()
    return 1
