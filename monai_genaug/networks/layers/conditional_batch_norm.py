# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Batch normalisation whose gain and bias depend on the class."""

from __future__ import annotations

import torch
from monai.networks.layers.factories import Norm
from torch import Tensor, nn

__all__ = ["ConditionalBatchNorm"]


class ConditionalBatchNorm(nn.Module):
    """Batch norm without parameters, then a gain and a bias per class and channel.

    Dumoulin et al., "A learned representation for artistic style", arXiv 1610.07629, equation 5, with the statistics
    of the batch. A freshly made layer is a plain batch norm for every class.

    Args:
        spatial_dims: 2 or 3.
        channels: channels of the features.
        n_classes: number of classes.

    Attributes:
        norm: the batch norm with the running statistics.
        gain, bias: tables ``(n_classes, channels)``.
    """

    def __init__(self, spatial_dims: int, channels: int, n_classes: int) -> None:
        super().__init__()
        self.norm = Norm[Norm.BATCH, spatial_dims](channels, affine=False)
        self.gain = nn.Parameter(torch.ones(n_classes, channels))
        self.bias = nn.Parameter(torch.zeros(n_classes, channels))

    def forward(self, features: Tensor, class_weights: Tensor) -> Tensor:
        """Normalises.

        Args:
            features: ``(n, channels, *spatial)``.
            class_weights: ``(n, n_classes)``, one-hot, or any real weights of the classes.

        Returns:
            The shape of ``features``.
        """
        per_channel = (*features.shape[:2], *[1] * (features.ndim - 2))
        gain, bias = (class_weights @ self.gain).view(per_channel), (class_weights @ self.bias).view(per_channel)
        normalised: Tensor = gain * self.norm(features) + bias
        return normalised
