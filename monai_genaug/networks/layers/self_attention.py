# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Self-attention between the positions of feature maps."""

from __future__ import annotations

import torch
from monai.networks.layers.factories import Conv
from torch import Tensor, nn

__all__ = ["SelfAttention"]


class SelfAttention(nn.Module):
    """x + attention(x), the block of SAGAN (Zhang et al., arXiv 1805.08318, equations 1 to 3).

    The values have all channels, queries and keys an eighth of them. In place of the learned factor gamma = 0 in front
    of the attention, the value convolution starts at zero: the block starts as the identity either way. The matrix
    product is written out because the fused kernels have no second derivative, which gradient penalties need.

    Args:
        spatial_dims: 2 or 3.
        channels: channels of the features.
    """

    def __init__(self, spatial_dims: int, channels: int) -> None:
        super().__init__()
        conv = Conv[Conv.CONV, spatial_dims]
        reduced = max(1, channels // 8)
        self.query = conv(channels, reduced, 1, bias=False)
        self.key = conv(channels, reduced, 1, bias=False)
        self.value = conv(channels, channels, 1, bias=False)
        nn.init.zeros_(self.value.weight)

    def forward(self, features: Tensor) -> Tensor:
        """``(n, channels, *spatial)`` -> the same shape; takes memory for all pairs of positions."""
        query, key, value = (layer(features).flatten(2) for layer in (self.query, self.key, self.value))
        attention = torch.softmax(query.transpose(1, 2) @ key, dim=2)  # (n, position i, attended position j)
        attended = value @ attention.transpose(1, 2)
        out: Tensor = features + attended.view_as(features)
        return out
