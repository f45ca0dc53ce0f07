# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Discriminator, or critic, of the DCGAN family, with or without classes."""

from __future__ import annotations

import math
from collections.abc import Sequence

from monai.networks.layers.factories import Conv, Norm
from monai.networks.utils import normal_init
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.conv import _ConvNd
from torch.nn.utils.parametrizations import spectral_norm as spectrally_normalised

from monai_genaug.networks.layers.self_attention import SelfAttention

__all__ = ["DCGANDiscriminator"]

CLASS_HEADS = ("projection", "auxiliary")
NORMS = (None, "batch", "instance")


class DCGANDiscriminator(nn.Module):
    """Discriminator of DCGAN (arXiv 1511.06434), SNGAN (1802.05957), WGAN-GP (1704.00028) and ACGAN (1610.09585).

    Strided convolutions to one score per image; in 2D and 3D. Where an axis cannot be halved as often as ``channels``
    asks, images are enlarged to the next size that can (28 pixels to 32). All layers have second derivatives.

    Args:
        spatial_dims: 2 or 3.
        spatial_shape: size of the images.
        image_channels: channels of the images.
        channels: channels after each convolution, from fine to coarse.
        n_classes: number of classes that ``class_heads`` use; 0 without heads.
        class_heads: any of ``"projection"``, which adds <features, embedding of the class> to the score (Miyato and
            Koyama, arXiv 1802.05637, equation 3), and ``"auxiliary"``, which predicts the class.
        norm: ``"batch"`` or ``"instance"`` after every convolution but the first, or None.
        spectral_norm: divides the weights of all convolutions and heads by their largest singular value; those of the
            attention stay as they are.
        stem: whether the first convolution keeps the resolution (3x3); all others halve it (4x4, stride 2).
        attention_after: index into ``channels`` after which a self-attention block stands; None for no attention.
        dropout: probability in [0, 1) after every convolution but the first.

    Attributes:
        has_batch_norm: whether the score of an image depends on its neighbours in the batch.

    Raises:
        ValueError: a value that is not allowed.
    """

    def __init__(
        self,
        spatial_dims: int,
        spatial_shape: Sequence[int],
        image_channels: int = 1,
        channels: Sequence[int] = (32, 64, 128, 256),
        n_classes: int = 0,
        class_heads: Sequence[str] = (),
        norm: str | None = None,
        spectral_norm: bool = False,
        stem: bool = False,
        attention_after: int | None = None,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        _check_images(spatial_dims, spatial_shape, image_channels)
        _check_classes(n_classes, class_heads)
        if len(channels) <= stem or min(channels) < 1:
            raise ValueError(f"channels are {tuple(channels)}, allowed: {1 + stem} and more numbers of 1 and more.")
        if norm not in NORMS:
            raise ValueError(f"norm is {norm!r}, allowed: {NORMS}.")
        if attention_after is not None and not 0 <= attention_after < len(channels):
            raise ValueError(f"attention_after is {attention_after}, allowed: None or 0 to {len(channels) - 1}.")
        if not 0.0 <= dropout < 1.0:
            raise ValueError(f"dropout is {dropout}, allowed: from 0 to below 1.")
        self.spatial_dims, self.spatial_shape = spatial_dims, tuple(int(size) for size in spatial_shape)
        self.image_channels, self.n_classes, self.class_heads = image_channels, n_classes, tuple(class_heads)
        self.has_batch_norm = norm == "batch" and len(channels) > 1
        factor = 2 ** (len(channels) - stem)
        grid = tuple(-(-size // factor) for size in self.spatial_shape)
        if norm == "instance" and math.prod(grid) == 1:
            raise ValueError(f"norm is 'instance', but {len(channels)} channels leave one position of {spatial_shape}.")
        self.working_shape = tuple(size * factor for size in grid)

        blocks: list[nn.Module] = []
        for index, (before, after) in enumerate(zip([image_channels, *channels[:-1]], channels, strict=True)):
            halves, first = not (stem and index == 0), index == 0
            blocks.append(
                _block(spatial_dims, before, after, halves, None if first else norm, 0.0 if first else dropout)
            )
            if attention_after == index:
                blocks.append(SelfAttention(spatial_dims, after))
        self.blocks = nn.Sequential(*blocks, nn.Flatten())
        features = channels[-1] * math.prod(grid)
        self.to_score = nn.Linear(features, 1)
        self.to_projection = nn.Linear(n_classes, features, bias=False) if "projection" in class_heads else None
        self.to_logits = nn.Linear(features, n_classes) if "auxiliary" in class_heads else None
        for layer in self._weight_layers():
            normal_init(layer)
            if spectral_norm:
                spectrally_normalised(layer)

    def forward(self, image: Tensor, class_one_hot: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """Judges images.

        Args:
            image: ``(n, image_channels, *spatial_shape)``, values in [0, 1].
            class_one_hot: ``(n, n_classes)``, or any real weights of the classes; needed by the projection, and used by
                it alone.

        Returns:
            The scores ``(n,)``, higher for real, and the class logits ``(n, n_classes)`` or None.

        Raises:
            ValueError: a wrong shape, or classes that are missing.
        """
        if image.shape[1:] != (self.image_channels, *self.spatial_shape):
            raise ValueError(
                f"image is {tuple(image.shape)}, needed: (n, {self.image_channels}, *{self.spatial_shape})."
            )
        if self.to_projection is not None and class_one_hot is None:
            raise ValueError(f"class_one_hot is None, the projection needs (n, {self.n_classes}).")
        if class_one_hot is not None and class_one_hot.shape != (len(image), self.n_classes):
            raise ValueError(
                f"class_one_hot is {tuple(class_one_hot.shape)}, needed: ({len(image)}, {self.n_classes})."
            )
        scaled = 2.0 * image - 1.0
        if self.working_shape != self.spatial_shape:
            mode = "bilinear" if self.spatial_dims == 2 else "trilinear"
            scaled = functional.interpolate(scaled, self.working_shape, mode=mode)
        features = self.blocks(scaled)
        scores: Tensor = self.to_score(features).squeeze(1)
        if self.to_projection is not None:
            scores = scores + (features * self.to_projection(class_one_hot)).sum(dim=1)
        return scores, None if self.to_logits is None else self.to_logits(features)

    def _weight_layers(self) -> list[nn.Module]:
        """All convolutions and linear layers but those of the attention."""
        of_attention = {id(m) for block in self.blocks if isinstance(block, SelfAttention) for m in block.modules()}
        kinds = (_ConvNd, nn.Linear)
        return [m for m in self.modules() if isinstance(m, kinds) and id(m) not in of_attention]


def _block(spatial_dims: int, before: int, after: int, halves: bool, norm: str | None, dropout: float) -> nn.Module:
    """A convolution, norm, LeakyReLU and dropout."""
    conv = Conv[Conv.CONV, spatial_dims]
    layer = conv(before, after, 4, stride=2, padding=1) if halves else conv(before, after, 3, padding=1)
    between = nn.Identity() if norm is None else Norm[norm, spatial_dims](after, affine=True)
    return nn.Sequential(layer, between, nn.LeakyReLU(0.2), nn.Dropout(dropout))


def _check_images(spatial_dims: int, spatial_shape: Sequence[int], image_channels: int) -> None:
    if spatial_dims not in (2, 3) or len(spatial_shape) != spatial_dims:
        raise ValueError(f"spatial_shape {tuple(spatial_shape)} does not fit spatial_dims={spatial_dims} (2 or 3).")
    if min(spatial_shape) < 1:
        raise ValueError(f"spatial_shape is {tuple(spatial_shape)}, allowed: sizes of 1 and more.")
    if image_channels < 1:
        raise ValueError(f"image_channels is {image_channels}, allowed: 1 and more.")


def _check_classes(n_classes: int, class_heads: Sequence[str]) -> None:
    if isinstance(class_heads, str) or not set(class_heads) <= set(CLASS_HEADS):
        raise ValueError(f"class_heads are {class_heads!r}, allowed: a sequence of any of {CLASS_HEADS}.")
    if n_classes < 0 or n_classes == 1 or (n_classes == 0) != (not class_heads):
        heads = f"class_heads {tuple(class_heads)}"
        raise ValueError(f"n_classes is {n_classes} with {heads}, allowed: 2 and more with heads, 0 without.")
