# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""What the trainer and the evaluator of VAEs do alike: a dictionary of a loader -> the lower bound of its items."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from monai.utils import convert_to_tensor
from torch import Tensor, nn

from monai_genaug.networks import VAE

__all__ = ["PRECISIONS", "BatchKeys", "ElboModule", "autocast_for", "noise_generator"]

PRECISIONS = (None, "bfloat16")


@dataclass(frozen=True)
class BatchKeys:
    """Where a batch holds what a VAE reads.

    Attributes:
        image: key of images ``(n, image_channels, *spatial_shape)`` in [0, 1].
        mask: key of label maps ``(n, 1, *spatial_shape)``, None for none.
        observed: key of masks that are 1 where the image was measured, None where it was measured everywhere.
    """

    image: str
    mask: str | None = None
    observed: str | None = None

    def read(
        self, batch: Mapping[str, Any], network: VAE, device: torch.device, non_blocking: bool = False
    ) -> tuple[Tensor, Tensor | None]:
        """The network's input ``x`` and ``observed``, on the device.

        Raises:
            KeyError: a key that the batch doesn't have; the ones it has are listed.
            ValueError: images or masks that don't fit the network.
        """
        found: dict[str, Tensor] = {}
        for key in (self.image, self.mask, self.observed):
            if key is None:
                continue
            if key not in batch:
                raise KeyError(f"the batch has no {key!r}; its keys are {sorted(map(str, batch))}.")
            found[key] = convert_to_tensor(batch[key], track_meta=False).to(device, non_blocking=non_blocking)
        mask = None if self.mask is None else found[self.mask]
        return network.join(found[self.image], mask), None if self.observed is None else found[self.observed].float()


class ElboModule(nn.Module):
    """A VAE whose call is its lower bound, since ``DistributedDataParallel`` only sees calls."""

    def __init__(self, network: VAE) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor, observed: Tensor | None, generator: torch.Generator) -> dict[str, Tensor]:
        """See :meth:`monai_genaug.networks.VAE.elbo`."""
        return self.network.elbo(x, observed, generator)


def autocast_for(device: torch.device, precision: str | None) -> AbstractContextManager[Any]:
    """Mixed precision on any device; None for float32.

    Raises:
        ValueError: a precision that is not allowed.
    """
    if precision not in PRECISIONS:
        raise ValueError(f"amp is {precision!r}, allowed: {PRECISIONS}.")
    return nullcontext() if precision is None else torch.autocast(device.type, torch.bfloat16)


def noise_generator(seed: int) -> torch.Generator:
    """A CPU generator, so that the noise is the same on every device."""
    return torch.Generator().manual_seed(seed)
