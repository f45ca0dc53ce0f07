# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Features of a network that has learnt nothing."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from monai_genaug.latent.draws import standard_normal
from monai_genaug.metrics.features.base import FeatureExtractor
from monai_genaug.metrics.features.network import FeatureNetwork

__all__ = ["RandomFeatures"]

_SIZE = {2: 64, 3: 32}


class RandomFeatures(FeatureExtractor):
    """Features of a small network with random weights: what any metric should agree with in tendency.

    Naeem et al., arXiv 2002.09797, section 4, recommend them where no network knows the kind of images. A metric that
    only a trained network sees change tells more about that network than about the images. The weights are normal
    with variance 2 / fan-in (He et al., arXiv 1502.01852, eq. 10), a function of ``seed`` alone; the global random
    state is neither read nor moved.

    Args:
        spatial_dims: 2 (images of 1 or 3 channels, 64x64) or 3 (1 channel, 32x32x32).
        seed: of the weights, in [0, 2^63).
        batch_size: images per chunk.
    """

    network: FeatureNetwork

    def __init__(self, spatial_dims: int = 2, seed: int = 0, batch_size: int = 64) -> None:
        with torch.random.fork_rng(devices=[]):  # torch's modules draw when they are made
            network = FeatureNetwork(spatial_dims)
        size = (_SIZE[spatial_dims],) * spatial_dims
        super().__init__("random", spatial_dims, network.in_channels, size, network.n_features, batch_size)
        kernels = [parameter for parameter in network.parameters() if parameter.ndim > 1]
        for stream, kernel in enumerate(kernels):
            draws = standard_normal([seed], kernel.numel(), stream).view(kernel.shape)
            with torch.no_grad():
                kernel.copy_(draws * math.sqrt(2.0 / kernel[0].numel()))
        self.network = network
        self._frozen()

    def features(self, x: Tensor) -> Tensor:
        """Means of the last stage's channels."""
        rows: Tensor = self.network(x)
        return rows
