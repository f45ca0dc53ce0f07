# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""The small network whose features the shipped extractors give, trained or not."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from monai.networks.layers.factories import Conv, Norm
from torch import Tensor, nn

__all__ = ["FeatureNetwork"]

_CHANNELS = {2: (32, 64, 96, 128), 3: (16, 32, 64, 128)}
_IN_CHANNELS = {2: 3, 3: 1}


class FeatureNetwork(nn.Module):
    """Four stages that halve the image and a mean over the pixels that are left, in 2D and 3D.

    A stage is a convolution of stride two and one that is added to its result, each with batch norm and ReLU.
    Features are shifted and scaled by ``centre`` and ``spread``, so that each has mean 0 and variance 1 in the images
    that the network was trained on.

    Args:
        spatial_dims: 2 (images of 3 channels) or 3 (of 1 channel).
        channels: of the stages; None for those of the shipped weights.

    Attributes:
        in_channels: of the images.
        n_features: the last stage's channels.

    Raises:
        ValueError: other ``spatial_dims``.
    """

    centre: Tensor
    spread: Tensor

    def __init__(self, spatial_dims: int = 2, channels: Sequence[int] | None = None) -> None:
        super().__init__()
        if spatial_dims not in _CHANNELS:
            raise ValueError(f"spatial_dims is {spatial_dims}, allowed: 2, 3.")
        sizes = tuple(channels or _CHANNELS[spatial_dims])
        self.spatial_dims, self.in_channels, self.n_features = spatial_dims, _IN_CHANNELS[spatial_dims], sizes[-1]
        stages = [_Stage(spatial_dims, before, after) for before, after in pairwise((self.in_channels, *sizes))]
        self.stages = nn.Sequential(*stages)
        self.register_buffer("centre", torch.zeros(self.n_features))
        self.register_buffer("spread", torch.ones(self.n_features))

    def pooled(self, x: Tensor) -> Tensor:
        """Features before the shift and the scaling, ``(n, n_features)``, not negative."""
        hidden: Tensor = self.stages(2.0 * x - 1.0)
        return hidden.flatten(2).mean(dim=2)

    def forward(self, x: Tensor) -> Tensor:
        """Features of images.

        Args:
            x: ``(n, in_channels, *spatial)`` in [0, 1].

        Returns:
            ``(n, n_features)``.
        """
        return (self.pooled(x) - self.centre) / self.spread


class _Stage(nn.Module):
    def __init__(self, spatial_dims: int, before: int, after: int) -> None:
        super().__init__()
        self.halve = _convolution(spatial_dims, before, after, stride=2)
        self.refine = _convolution(spatial_dims, after, after, stride=1)

    def forward(self, x: Tensor) -> Tensor:
        halved: Tensor = self.halve(x)
        refined: Tensor = self.refine(halved)
        return halved + refined


def _convolution(spatial_dims: int, before: int, after: int, stride: int) -> nn.Sequential:
    convolution = Conv[Conv.CONV, spatial_dims](before, after, 3, stride=stride, padding=1, bias=False)
    return nn.Sequential(convolution, Norm[Norm.BATCH, spatial_dims](after), nn.ReLU())
