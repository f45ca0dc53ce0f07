# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Plain convolution stacks with batch normalisation, as in the VAEs of Subramanian, "PyTorch-VAE" (2020).

With channels 32 to 512 and 28 x 28 pixels these are the layers of Le Roux, "Evaluating the impact of deep learning data
augmentation methods on a medical imagery classification task", figures 19, 20, 22 and 23.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from monai.networks.layers.factories import Conv, Norm
from torch import Tensor, nn

__all__ = ["BatchNormDecoder", "BatchNormEncoder"]

_LOST = 4  # pixels that the output block takes away


class BatchNormEncoder(nn.Module):
    """Images -> feature maps: one 3 x 3 convolution of stride 2 per entry of ``channels``.

    Args:
        spatial_shape: size of the images, 2D or 3D.
        in_channels: channels of the input.
        channels: channels after each halving.
    """

    def __init__(self, spatial_shape: Sequence[int], in_channels: int, channels: Sequence[int]) -> None:
        super().__init__()
        dims = len(spatial_shape)
        conv = Conv[Conv.CONV, dims]
        blocks: list[nn.Module] = []
        for before, after in pairwise([in_channels, *channels]):
            blocks += [conv(before, after, 3, stride=2, padding=1), *_normed(dims, after)]
        self.blocks = nn.Sequential(*blocks)
        self.grid = tuple(-(-size // 2 ** len(channels)) for size in spatial_shape)

    def forward(self, x: Tensor) -> Tensor:
        """``(n, in_channels, *spatial_shape)`` -> ``(n, channels[-1], *grid)``."""
        features: Tensor = self.blocks(x)
        return features


class BatchNormDecoder(nn.Module):
    """Feature maps -> images: one doubling between neighbouring ``channels``, then the output block.

    Args:
        spatial_shape: size of the images, 2D or 3D.
        channels: from coarse to fine.
        out_channels: channels of the output.

    Attributes:
        grid: size of the feature maps that it reads.
    """

    def __init__(self, spatial_shape: Sequence[int], channels: Sequence[int], out_channels: int) -> None:
        super().__init__()
        dims, fine, doublings = len(spatial_shape), channels[-1], len(channels) - 1
        transposed, conv = Conv[Conv.CONVTRANS, dims], Conv[Conv.CONV, dims]
        self.spatial_shape = tuple(spatial_shape)
        self.grid = tuple(-(-(size + _LOST) // 2**doublings) for size in spatial_shape)
        blocks: list[nn.Module] = []
        for before, after in pairwise(channels):
            blocks += [transposed(before, after, 3, stride=2, padding=1, output_padding=1), *_normed(dims, after)]
        self.blocks = nn.Sequential(*blocks)
        # 32 -> 61 -> 30 -> 28: smooths the checkerboard of the transposed convolutions
        self.output = nn.Sequential(
            transposed(fine, fine, 3, stride=2, padding=2),
            *_normed(dims, fine),
            conv(fine, fine, 3, stride=2),
            *_normed(dims, fine),
            conv(fine, out_channels, 3),
        )

    def forward(self, features: Tensor) -> Tensor:
        """``(n, channels[0], *grid)`` -> ``(n, out_channels, *spatial_shape)``, the centre of what was made."""
        images: Tensor = self.output(self.blocks(features))
        starts = [(made - size) // 2 for made, size in zip(images.shape[2:], self.spatial_shape, strict=True)]
        box = tuple(slice(start, start + size) for start, size in zip(starts, self.spatial_shape, strict=True))
        return images[(slice(None), slice(None), *box)]


def _normed(dims: int, channels: int) -> list[nn.Module]:
    return [Norm[Norm.BATCH, dims](channels), nn.LeakyReLU()]
