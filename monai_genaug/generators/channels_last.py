# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""The layout of a network's weights in memory that a CPU convolves fastest in."""

from __future__ import annotations

import torch
from torch import nn

__all__ = ["lay_channels_last"]

_FORMATS = {4: torch.channels_last, 5: torch.channels_last_3d}
"""Dimensions of a convolution's weights -> their layout."""


def lay_channels_last(network: nn.Module) -> None:
    """Moves the channels of all convolutions' weights to the end in memory; shapes and values stay.

    PyTorch keeps the features that such weights make in the same layout, which oneDNN convolves without reordering
    them: decoders make more samples a second (``benchmarks/contract_cost.py``). Diffusion models don't gain.

    Args:
        network: a frozen one; an optimizer would keep its state in this layout, too.
    """
    for weight in network.parameters():
        if weight.ndim in _FORMATS:
            weight.data = weight.data.contiguous(memory_format=_FORMATS[weight.ndim])
