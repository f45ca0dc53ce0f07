# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Generator of the DCGAN family: transposed convolutions from a code to an image, with or without classes."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from itertools import pairwise

import torch
from monai.networks.layers.factories import Conv, Norm
from monai.networks.utils import normal_init
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd

from monai_genaug.latent import LatentDistribution
from monai_genaug.networks.latent_decoder import LatentDecoder
from monai_genaug.networks.layers.conditional_batch_norm import ConditionalBatchNorm
from monai_genaug.networks.layers.doubling import doubling_conv

__all__ = ["DCGANGenerator"]

CONDITIONINGS = ("batch_norm", "product")
UPSAMPLINGS = ("transposed", "resize")


class DCGANGenerator(LatentDecoder):
    """Generator of DCGAN (Radford et al., arXiv 1511.06434), SNGAN, WGAN-GP and ACGAN, in 2D and 3D.

    A coarse grid that doubles once per entry of ``channels``; where that does not hit ``spatial_shape``, the next
    larger image is made and resized (28 pixels from 32).

    Args:
        spatial_dims: 2 or 3.
        spatial_shape: size of the images.
        image_channels: channels of the images.
        latent_dim: dimensions d of z.
        channels: channels before each doubling, from coarse to fine.
        n_classes: number of classes; 0 for an unconditional generator.
        conditioning: ``"batch_norm"``, a gain and a bias per class in every norm, or ``"product"``, z times an
            embedding of the class, as ACGANs (arXiv 1610.09585) often have it. Without classes it means nothing.
        upsampling: ``"transposed"`` convolutions of stride 2, or ``"resize"``: nearest neighbour, then a convolution.
        dropout: probability in [0, 1) after every block but the first.
        latent: distribution of new z; the standard normal by default.

    Raises:
        ValueError: a value that is not allowed.
    """

    def __init__(
        self,
        spatial_dims: int,
        spatial_shape: Sequence[int],
        image_channels: int = 1,
        latent_dim: int = 128,
        channels: Sequence[int] = (256, 128, 64),
        n_classes: int = 0,
        conditioning: str = "batch_norm",
        upsampling: str = "transposed",
        dropout: float = 0.0,
        latent: LatentDistribution | None = None,
    ) -> None:
        super().__init__(spatial_dims, spatial_shape, image_channels, 0, latent_dim, n_classes, latent)
        if min(self.spatial_shape) < 1:
            raise ValueError(f"spatial_shape is {self.spatial_shape}, allowed: sizes of 1 and more.")
        if not channels or min(channels) < 1:
            raise ValueError(f"channels are {tuple(channels)}, allowed: one and more numbers of 1 and more.")
        if conditioning not in CONDITIONINGS:
            raise ValueError(f"conditioning is {conditioning!r}, allowed: {CONDITIONINGS}.")
        if upsampling not in UPSAMPLINGS:
            raise ValueError(f"upsampling is {upsampling!r}, allowed: {UPSAMPLINGS}.")
        if not 0.0 <= dropout < 1.0:
            raise ValueError(f"dropout is {dropout}, allowed: from 0 to below 1.")
        grid = tuple(-(-size // 2 ** len(channels)) for size in self.spatial_shape)
        in_norms = n_classes if conditioning == "batch_norm" else 0
        by_product = n_classes > 0 and conditioning == "product"
        self.embedding = nn.Parameter(torch.randn(n_classes, latent_dim)) if by_product else None
        from_code = Conv[Conv.CONVTRANS, spatial_dims](latent_dim, channels[0], grid)
        blocks = [_Block(from_code, spatial_dims, channels[0], in_norms, 0.0)]
        for before, after in pairwise(channels):
            doubling = _doubling(spatial_dims, before, after, upsampling)
            blocks.append(_Block(doubling, spatial_dims, after, in_norms, dropout))
        self.blocks = nn.ModuleList(blocks)
        self.to_image = _doubling(spatial_dims, channels[-1], image_channels, upsampling)
        for layer in self.modules():
            if isinstance(layer, _ConvNd):
                normal_init(layer)

    def forward(self, code: Tensor) -> Tensor:
        """Codes ``(n, latent_dim + n_classes)`` -> images ``(n, image_channels, *spatial_shape)`` in [0, 1].

        The last ``n_classes`` columns are one-hot, or any real weights of the classes.

        Raises:
            ValueError: a code of another shape.
        """
        z, class_weights = self._split_code(code)
        if self.embedding is not None:
            z = z * (class_weights @ self.embedding)
        features = z.view(*z.shape, *[1] * self.spatial_dims)
        for block in self.blocks:
            features = block(features, class_weights)
        images = (torch.tanh(self.to_image(features).float()) + 1.0) / 2.0
        if images.shape[2:] == self.spatial_shape:
            return images
        mode, smooth = ("bilinear", True) if self.spatial_dims == 2 else ("trilinear", False)
        return functional.interpolate(images, self.spatial_shape, mode=mode, antialias=smooth).clamp(0.0, 1.0)

    @torch.no_grad()
    def calibrate(self, codes: Sequence[Tensor]) -> None:
        """Measures the running statistics of all batch norms anew, as plain averages over batches.

        For weights that were averaged over the training, to which no statistics belong. Nothing else changes.

        Args:
            codes: batches ``(n, code_dim)``, n >= 2, as in training.

        Raises:
            ValueError: no batch, or one of another shape.
        """
        bad = [tuple(batch.shape) for batch in codes if batch.ndim != 2 or len(batch) < 2]
        bad += [tuple(batch.shape) for batch in codes if batch.ndim == 2 and batch.shape[1] != self.code_dim]
        if not len(codes) or bad:
            raise ValueError(f"codes are {bad or 'empty'}, needed: batches (n, {self.code_dim}) of n >= 2.")
        twin = copy.deepcopy(self).eval()  # no dropout: there is none when samples are made
        measured = [module for module in twin.modules() if isinstance(module, _BatchNorm)]
        for norm in measured:
            norm.reset_running_stats()
            norm.momentum = None  # a plain average
            norm.train()
        for batch in codes:
            twin(batch)
        norms = [module for module in self.modules() if isinstance(module, _BatchNorm)]
        for norm, source in zip(norms, measured, strict=True):
            norm.load_state_dict(source.state_dict())


class _Block(nn.Module):
    """A layer, then batch norm, of the class where there are classes in it, LeakyReLU and dropout."""

    def __init__(self, layer: nn.Module, spatial_dims: int, channels: int, n_classes: int, dropout: float) -> None:
        super().__init__()
        self.layer = layer
        self.is_conditional = n_classes > 0
        self.norm: nn.Module = (
            ConditionalBatchNorm(spatial_dims, channels, n_classes)
            if self.is_conditional
            else Norm[Norm.BATCH, spatial_dims](channels)
        )
        self.activation = nn.Sequential(nn.LeakyReLU(0.2), nn.Dropout(dropout))

    def forward(self, features: Tensor, class_weights: Tensor) -> Tensor:
        features = self.layer(features)
        features = self.norm(features, class_weights) if self.is_conditional else self.norm(features)
        out: Tensor = self.activation(features)
        return out


def _doubling(spatial_dims: int, before: int, after: int, upsampling: str) -> nn.Module:
    """A layer that doubles every axis."""
    if upsampling == "resize":
        conv = Conv[Conv.CONV, spatial_dims](before, after, 3, padding=1)
        return nn.Sequential(nn.Upsample(scale_factor=2, mode="nearest"), conv)
    return doubling_conv(spatial_dims, before, after)
