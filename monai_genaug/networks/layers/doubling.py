# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""The transposed convolution that doubles an image's size, quick for few output channels too."""

from __future__ import annotations

import torch
from monai.networks.utils import pixelshuffle
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.conv import _ConvTransposeNd

__all__ = ["DoublingConv2d", "DoublingConv3d", "doubling_conv", "overlap_add", "sub_pixel"]

_FEW_CHANNELS = 4
"""Output channels up to which the sub-pixel form is quicker than PyTorch's (``benchmarks/doubling.py``)."""

_FEWEST_CHANNELS = 2
"""Output channels of images up to which overlap-add is the quickest on a CPU."""


class _DoublingConv(_ConvTransposeNd):
    """Transposed convolution with 4 taps and stride 2 per axis, in a form that is quick for few output channels.

    Parameters and values are those of PyTorch's layer.

    Args:
        in_channels, out_channels: as in ``nn.ConvTranspose2d``.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(in_channels, out_channels, 4, stride=2, padding=1)  # type: ignore[call-arg]

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        """``(n, in_channels, *spatial)`` -> ``(n, out_channels, *(2 * spatial))``."""
        if self.out_channels > _FEW_CHANNELS or output_size is not None:
            made: Tensor = super().forward(x, output_size)
            return made
        if self.out_channels <= _FEWEST_CHANNELS and x.ndim == 4 and x.device.type == "cpu":
            return overlap_add(x, self.weight, self.bias)
        return sub_pixel(x, self.weight, self.bias)


class DoublingConv2d(_DoublingConv, nn.ConvTranspose2d):
    """:class:`_DoublingConv` of images ``(n, in_channels, height, width)``."""


class DoublingConv3d(_DoublingConv, nn.ConvTranspose3d):
    """:class:`_DoublingConv` of volumes ``(n, in_channels, depth, height, width)``."""


def doubling_conv(spatial_dims: int, in_channels: int, out_channels: int) -> nn.Module:
    """:class:`DoublingConv2d` or :class:`DoublingConv3d`."""
    return (DoublingConv2d if spatial_dims == 2 else DoublingConv3d)(in_channels, out_channels)


def sub_pixel(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """The transposed convolution of ``weight`` ``(in, out, 4, ...)`` as a sub-pixel convolution.

    Shi et al., "Is the deconvolution layer the same as a convolutional layer?", arXiv 1609.07009: an output position
    sees 2 of the 4 taps per axis, the even ones or the odd ones. So one convolution with 2 taps makes the outputs of
    all parities as channels, which are then interleaved. Per axis, output 2q - 1 is x[q-1] w[2] + x[q] w[0] and output
    2q is x[q-1] w[3] + x[q] w[1]: position q of a convolution with the taps w[2 + parity - 2 tap], whose first and last
    outputs lie outside.
    """
    axes, into, out = range(weight.ndim - 2), weight.shape[0], weight.shape[1]
    taps, parities = [2 + 2 * axis for axis in axes], [3 + 2 * axis for axis in axes]
    by_parity = weight.reshape(into, out, *[2] * (2 * len(axes))).flip(taps)
    kernel = by_parity.permute(1, *parities, 0, *taps).reshape(-1, into, *[2] * len(axes))
    repeated = None if bias is None else bias.repeat_interleave(2 ** len(axes))
    convolve = functional.conv2d if len(axes) == 2 else functional.conv3d
    images = pixelshuffle(convolve(x, kernel, repeated, padding=1), len(axes), 2)
    return functional.pad(images, [-1] * (2 * len(axes)))


def overlap_add(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """The transposed convolution of images: 4 x 4 outputs of every position, one product, are added up."""
    taps = weight.flatten(1).T.expand(x.shape[0], -1, -1)  # a trace would keep len(x)
    height, width = x.shape[2:]
    images = functional.fold(torch.bmm(taps, x.flatten(2)), (2 * height, 2 * width), 4, padding=1, stride=2)
    return images if bias is None else images + bias.to(images.dtype).view(-1, 1, 1)
