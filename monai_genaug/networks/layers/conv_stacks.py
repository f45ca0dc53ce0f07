# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Strided convolution stacks between images and feature vectors, in 2D and 3D."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from monai.networks.layers.factories import Conv
from torch import Tensor, nn

from monai_genaug.networks.layers.doubling import doubling_conv

__all__ = ["ConvEncoder", "ConvDecoder"]


class ConvEncoder(nn.Module):
    """Images -> feature maps, halving every axis once per entry of ``channels``.

    Few channels stand at full resolution, where the cost is: the first convolution already has stride 2.

    Args:
        spatial_dims: 2 or 3.
        in_channels: channels of the input.
        channels: channels after each halving.
    """

    def __init__(self, spatial_dims: int, in_channels: int, channels: Sequence[int]) -> None:
        super().__init__()
        conv = Conv[Conv.CONV, spatial_dims]
        blocks: list[nn.Module] = []
        for before, after in zip([in_channels, *channels[:-1]], channels, strict=True):
            blocks += [conv(before, after, 4, stride=2, padding=1), _norm(after), nn.SiLU()]
        self.blocks = nn.Sequential(*blocks)

    def forward(self, x: Tensor) -> Tensor:
        """``(n, in_channels, *spatial)`` -> ``(n, channels[-1], *(spatial / 2^len(channels)))``."""
        features: Tensor = self.blocks(x)
        return features


class ConvDecoder(nn.Module):
    """Feature maps -> images, doubling every axis once per entry of ``channels``.

    Args:
        spatial_dims: 2 or 3.
        channels: channels before each doubling, from coarse to fine.
        out_channels: channels of the output.
    """

    def __init__(self, spatial_dims: int, channels: Sequence[int], out_channels: int) -> None:
        super().__init__()
        conv = Conv[Conv.CONV, spatial_dims]
        blocks: list[nn.Module] = []
        for before, after in pairwise(channels):
            blocks += [doubling_conv(spatial_dims, before, after), _norm(after), nn.SiLU()]
            blocks += [_Residual(conv, after)]
        blocks += [doubling_conv(spatial_dims, channels[-1], out_channels)]
        self.blocks = nn.Sequential(*blocks)

    def forward(self, features: Tensor) -> Tensor:
        """``(n, channels[0], *grid)`` -> ``(n, out_channels, *(grid * 2^len(channels)))``."""
        images: Tensor = self.blocks(features)
        return images


class _Residual(nn.Module):
    """x + convolution of x."""

    def __init__(self, conv: type[nn.Module], channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(conv(channels, channels, 3, padding=1), _norm(channels), nn.SiLU())

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.body(x)
        return out


def _norm(channels: int) -> nn.GroupNorm:
    """Groups of up to 8 channels: independent of the batch, so a sample does not depend on its neighbours."""
    groups = max(g for g in (1, 2, 4, 8) if channels % g == 0)
    return nn.GroupNorm(groups, channels)


def coarse_grid(spatial_shape: Sequence[int], halvings: int) -> tuple[int, ...]:
    """The grid after ``halvings`` halvings.

    Raises:
        ValueError: an axis that cannot be halved that often.
    """
    factor = 2**halvings
    bad = [size for size in spatial_shape if size % factor]
    if bad:
        raise ValueError(f"spatial_shape {tuple(spatial_shape)}: {bad[0]} is not a multiple of 2^{halvings}={factor}.")
    return tuple(size // factor for size in spatial_shape)


def pooled(features: Tensor) -> Tensor:
    """Mean over the spatial axes, ``(n, c)``."""
    return torch.mean(features.flatten(2), dim=2)
