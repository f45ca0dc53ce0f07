# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""The parts of a diffusion training step: its batch and its loss."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from monai_genaug.data.batch_keys import batch_tensor
from monai_genaug.engines.elbo_step import autocast_for
from monai_genaug.engines.gan_step import ClassBatchKeys
from monai_genaug.networks import DiffusionDecoder

__all__ = ["DiffusionBatch", "check_mask_key", "diffusion_loss", "read_diffusion_batch"]


@dataclass(frozen=True)
class DiffusionBatch:
    """What a diffusion model learns from.

    Attributes:
        image: ``(n, image_channels, *spatial_shape)`` in [0, 1].
        mask: ``(n, 1, *spatial_shape)`` labels, or None.
        classes: ``(n,)`` numbers, or None.
    """

    image: Tensor
    mask: Tensor | None
    classes: Tensor | None


def check_mask_key(mask_key: str | None, network: DiffusionDecoder) -> None:
    """Refuses a key of masks for a model without masks, and none for one with them.

    Raises:
        ValueError: they don't fit.
    """
    if (mask_key is None) != (network.mask_classes == 0):
        raise ValueError(f"mask_key is {mask_key!r}, but the network has mask_classes={network.mask_classes}.")


def read_diffusion_batch(
    batch: Mapping[str, Any],
    network: DiffusionDecoder,
    keys: ClassBatchKeys,
    mask_key: str | None,
    device: torch.device,
    non_blocking: bool = False,
) -> DiffusionBatch:
    """A dictionary of a loader -> what is learned from, on the device.

    Raises:
        KeyError: a key that the batch doesn't have; the ones it has are listed.
        ValueError: images or classes that don't fit the network.
    """
    image, classes = keys.read(batch, network, device, non_blocking)
    mask = None if mask_key is None else batch_tensor(batch, mask_key).to(device, non_blocking=non_blocking)
    return DiffusionBatch(image, mask, classes)


def diffusion_loss(
    network: DiffusionDecoder, batch: DiffusionBatch, class_dropout: float, precision: str | None
) -> Tensor:
    """Mean squared error of what the network predicts, at random timesteps (DDPM, equation 14).

    All randomness comes from torch's global random numbers of the CPU, and of the device where a first stage draws its
    codes.

    Args:
        network: the model.
        batch: what it learns from.
        class_dropout: probability that an item's class is hidden from the network.
        precision: of the network, see :func:`autocast_for`.
    """
    with torch.no_grad():
        data = network.model_space(batch.image, batch.mask)
    timesteps = network.process.draw_timesteps(len(data)).to(data.device)
    noise = torch.randn(data.shape).to(data)
    classes = batch.classes
    if classes is not None and network.null_class is not None:
        hidden = (torch.rand(len(data)) < class_dropout).to(data.device)
        classes = torch.where(hidden, network.null_class, classes)
    x = network.process.noisy(data, noise, timesteps)
    with autocast_for(data.device, precision):
        predicted = network.predicted(x, timesteps, classes)
    return functional.mse_loss(predicted.float(), network.process.target(data, noise, timesteps))
