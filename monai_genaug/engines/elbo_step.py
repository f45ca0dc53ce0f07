# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""What the trainer and the evaluator of VAEs do alike."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from monai_genaug.networks import LatentAutoencoder

__all__ = ["PRECISIONS", "ElboModule", "autocast_for", "noise_generator"]

PRECISIONS = (None, "bfloat16")


class ElboModule(nn.Module):
    """A VAE whose call is its lower bound, since ``DistributedDataParallel`` only sees calls."""

    def __init__(self, network: LatentAutoencoder) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor, observed: Tensor | None, generator: torch.Generator) -> dict[str, Tensor]:
        """See :meth:`monai_genaug.networks.LatentAutoencoder.elbo`."""
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
