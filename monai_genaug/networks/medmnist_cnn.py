# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""The small classifier of the MedMNIST benchmark."""

from __future__ import annotations

from itertools import pairwise

from monai.networks.layers.factories import Conv, Norm, Pool
from torch import Tensor, nn

__all__ = ["MedMNISTCNN"]

_GRID = 4
_FEATURES = 128
_SMALLEST = 14  # what three unpadded convolutions before and after a halving leave at least one voxel of


class MedMNISTCNN(nn.Module):
    """Five convolutions and three linear layers (Yang et al., arXiv 2110.14795, example code), in 2D and 3D.

    The last pooling is adaptive, to 4 cells per axis: for 28x28 this is the ordinary halving of 8 cells, with 235,225
    parameters for three channels and nine classes; larger images are pooled more strongly.

    Args:
        spatial_dims: 2 or 3.
        in_channels: channels of the image.
        n_classes: logits.

    Raises:
        ValueError: a value that is not allowed.
    """

    def __init__(self, spatial_dims: int = 2, in_channels: int = 3, n_classes: int = 9) -> None:
        super().__init__()
        if spatial_dims not in (2, 3):
            raise ValueError(f"spatial_dims is {spatial_dims}, allowed: 2, 3.")
        if in_channels < 1 or n_classes < 1:
            raise ValueError(f"in_channels is {in_channels}, n_classes {n_classes}, allowed: 1 and more.")
        self.spatial_dims, self.in_channels, self.n_classes = spatial_dims, in_channels, n_classes
        self.convolutions = nn.Sequential(
            *_block(spatial_dims, in_channels, 16),
            *_block(spatial_dims, 16, 16),
            Pool[Pool.MAX, spatial_dims](2),
            *_block(spatial_dims, 16, 64),
            *_block(spatial_dims, 64, 64),
            *_block(spatial_dims, 64, 64, padding=1),
            Pool[Pool.ADAPTIVEMAX, spatial_dims](_GRID),
            nn.Flatten(),
        )
        sizes = (64 * _GRID**spatial_dims, _FEATURES, _FEATURES)
        self.hidden = nn.Sequential(*(layer for pair in pairwise(sizes) for layer in (nn.Linear(*pair), nn.ReLU())))
        self.to_logits = nn.Linear(_FEATURES, n_classes)

    def features(self, x: Tensor) -> Tensor:
        """What the last layer reads.

        Args:
            x: ``(n, in_channels, *spatial)``, at least 14 pixels per axis.

        Returns:
            ``(n, 128)``, not negative.

        Raises:
            ValueError: another shape.
        """
        if x.ndim != 2 + self.spatial_dims or x.shape[1] != self.in_channels or min(x.shape[2:]) < _SMALLEST:
            raise ValueError(
                f"x is {tuple(x.shape)}, needed: (n, {self.in_channels}, {self.spatial_dims} sizes of {_SMALLEST} "
                "and more)."
            )
        hidden: Tensor = self.hidden(self.convolutions(x))
        return hidden

    def forward(self, x: Tensor) -> Tensor:
        """Images as in :meth:`features` -> logits ``(n, n_classes)``."""
        logits: Tensor = self.to_logits(self.features(x))
        return logits


def _block(spatial_dims: int, before: int, after: int, padding: int = 0) -> tuple[nn.Module, ...]:
    convolution = Conv[Conv.CONV, spatial_dims](before, after, 3, padding=padding)
    return convolution, Norm[Norm.BATCH, spatial_dims](after), nn.ReLU()
