# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""A dictionary of a loader -> what a VAE reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from monai.utils import convert_to_tensor
from torch import Tensor

from monai_genaug.networks import LatentAutoencoder

__all__ = ["BatchKeys", "batch_tensor"]


@dataclass(frozen=True)
class BatchKeys:
    """Where a batch holds what a VAE reads.

    Attributes:
        image: key of images ``(n, image_channels, *spatial_shape)`` in [0, 1].
        mask: key of label maps ``(n, 1, *spatial_shape)``, None for none.
        observed: key of masks that are 1 where the image was measured, None where it was measured everywhere.
        label: key of classes, ``(n,)`` or ``(n, 1)`` numbers; None for an unconditional network.
    """

    image: str
    mask: str | None = None
    observed: str | None = None
    label: str | None = None

    def read(
        self, batch: Mapping[str, Any], network: LatentAutoencoder, device: torch.device, non_blocking: bool = False
    ) -> tuple[Tensor, Tensor | None]:
        """The network's input ``x`` and ``observed``, on the device.

        Raises:
            KeyError: a key that the batch doesn't have; the ones it has are listed.
            ValueError: images, masks or classes that don't fit the network.
        """
        found: dict[str, Tensor] = {}
        for key in (self.image, self.mask, self.observed, self.label):
            if key is not None:
                found[key] = batch_tensor(batch, key).to(device, non_blocking=non_blocking)
        mask = None if self.mask is None else found[self.mask]
        classes = None if self.label is None else _whole(found[self.label].reshape(-1))
        observed = None if self.observed is None else found[self.observed].float()
        return network.join(found[self.image], mask, classes), observed


def batch_tensor(batch: Mapping[str, Any], key: str) -> Tensor:
    """What a batch has under a key, as a plain tensor.

    Raises:
        KeyError: a key that the batch doesn't have; the ones it has are listed.
    """
    if key not in batch:
        raise KeyError(f"the batch has no {key!r}; its keys are {sorted(map(str, batch))}.")
    tensor: Tensor = convert_to_tensor(batch[key], track_meta=False)
    return tensor


def _whole(labels: Tensor) -> Tensor:
    numbers = labels.long()
    if (numbers != labels).any():
        raise ValueError(f"classes are {labels.tolist()}, allowed: whole numbers.")
    return numbers
