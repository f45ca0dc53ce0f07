# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""The pairs of convolution stacks that a VAE can be built of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from torch import nn

from monai_genaug.networks.layers.batch_norm_stacks import BatchNormDecoder, BatchNormEncoder
from monai_genaug.networks.layers.conv_stacks import ConvDecoder, ConvEncoder, coarse_grid

__all__ = ["STACKS", "Stacks", "build_stacks"]

STACKS = ("residual", "batch_norm")
"""Names for :func:`build_stacks`."""


class Stacks(NamedTuple):
    """An encoder from images to feature maps, a decoder back, and the grids of these maps."""

    encoder: nn.Module
    encoded_grid: tuple[int, ...]
    decoder: nn.Module
    decoded_grid: tuple[int, ...]


def build_stacks(
    name: str, spatial_shape: Sequence[int], channels: Sequence[int], in_channels: int, out_channels: int
) -> Stacks:
    """Builds a pair.

    Args:
        name: ``"residual"``: strided convolutions and residual blocks with group normalisation; ``"batch_norm"``:
            the plain stacks of Subramanian's PyTorch-VAE, for any image size.
        spatial_shape: size of the images.
        channels: channels after each halving, from fine to coarse.
        in_channels: channels that the encoder reads.
        out_channels: channels that the decoder makes, without activation.

    Raises:
        ValueError: an unknown name, channels that are none, or a size that the stack cannot make.
    """
    if name not in STACKS:
        raise ValueError(f"stack is {name!r}, allowed: {STACKS}.")
    if not channels or min(channels) < 1:
        raise ValueError(f"channels are {tuple(channels)}, allowed: one and more numbers of 1 and more.")
    dims, coarse_to_fine = len(spatial_shape), tuple(reversed(channels))
    if name == "residual":
        grid = coarse_grid(spatial_shape, len(channels))
        encoder = ConvEncoder(dims, in_channels, channels)
        return Stacks(encoder, grid, ConvDecoder(dims, coarse_to_fine, out_channels), grid)
    reader = BatchNormEncoder(spatial_shape, in_channels, channels)
    writer = BatchNormDecoder(spatial_shape, coarse_to_fine, out_channels)
    return Stacks(reader, reader.grid, writer, writer.grid)
