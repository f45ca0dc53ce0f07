# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""What every network that makes samples has in common: codes go in, images and label maps come out."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from monai_genaug.latent import LatentDistribution, latent_by_name

__all__ = ["LatentDecoder"]


class LatentDecoder(nn.Module, ABC):
    """A network from codes to samples, with the distribution that its codes z are drawn from.

    The class of a sample is a part of its code: z, then the class as a one-hot vector. A conditional network therefore
    has one input, as an unconditional one.

    Args:
        spatial_dims: 2 or 3.
        spatial_shape: size of the samples.
        image_channels: channels of the image.
        mask_classes: classes of the label map including background; 0 for images alone.
        latent_dim: dimensions d of z.
        n_classes: classes of samples; 0 for an unconditional network.
        latent: distribution of new z, or its name (:func:`latent_by_name`); the standard normal by default.

    Attributes:
        code_dim: length of a code, ``latent_dim + n_classes``.

    Raises:
        ValueError: a value that is not allowed.
    """

    def __init__(
        self,
        spatial_dims: int,
        spatial_shape: Sequence[int],
        image_channels: int,
        mask_classes: int,
        latent_dim: int,
        n_classes: int = 0,
        latent: LatentDistribution | str | None = None,
    ) -> None:
        super().__init__()
        if spatial_dims not in (2, 3) or len(spatial_shape) != spatial_dims:
            raise ValueError(f"spatial_shape {tuple(spatial_shape)} does not fit spatial_dims={spatial_dims} (2 or 3).")
        if image_channels < 1:
            raise ValueError(f"image_channels is {image_channels}, allowed: 1 and more.")
        if mask_classes == 1 or mask_classes < 0:
            raise ValueError(f"mask_classes is {mask_classes}, allowed: 0 (no mask) or 2 and more.")
        if n_classes == 1 or n_classes < 0:
            raise ValueError(f"n_classes is {n_classes}, allowed: 0 (no classes) or 2 and more.")
        if latent is None or isinstance(latent, str):
            latent = latent_by_name(latent or "normal", latent_dim, n_classes)
        if latent.latent_dim != latent_dim:
            raise ValueError(f"latent has dimension {latent.latent_dim}, latent_dim is {latent_dim}.")
        self.spatial_dims, self.spatial_shape = spatial_dims, tuple(int(size) for size in spatial_shape)
        self.image_channels, self.mask_classes = image_channels, mask_classes
        self.latent_dim, self.n_classes = latent_dim, n_classes
        self.latent: LatentDistribution = latent

    @property
    def code_dim(self) -> int:
        """Length of a code."""
        return self.latent_dim + self.n_classes

    @property
    def supports_truncation(self) -> bool:
        """Whether :meth:`draw_latent` takes a truncation below 1."""
        return self.latent.supports_truncation

    @abstractmethod
    def forward(self, code: Tensor) -> Tensor:
        """Decodes.

        Args:
            code: ``(n, code_dim)``, see :meth:`with_class`.

        Returns:
            ``(n, image_channels + mask_classes, *spatial_shape)``: the image in [0, 1], then mask logits.
        """

    def draw_latent(self, seeds: Sequence[int], classes: Sequence[int] | None = None, truncation: float = 1) -> Tensor:
        """New z, one per seed, ``(len(seeds), latent_dim)``.

        Args:
            seeds: one per sample.
            classes: class per sample; for networks whose distribution depends on it.
            truncation: see :meth:`LatentDistribution.sample`.
        """
        return self.latent.sample(seeds, truncation, classes)

    def with_class(self, z: Tensor, classes: Tensor | None = None) -> Tensor:
        """Codes from z ``(n, latent_dim)`` and the numbers ``(n,)`` of their classes.

        Raises:
            ValueError: classes missing, not wanted or out of range.
        """
        self._check_classes(classes, len(z))
        if classes is None:
            return z
        return torch.cat([z, functional.one_hot(classes, self.n_classes).to(z)], dim=1)

    def _planes(self, image: Tensor, mask: Tensor | None) -> Tensor:
        """Image and one-hot label map, ``(n, image_channels + mask_classes, *spatial_shape)``, float32.

        Args:
            image: ``(n, image_channels, *spatial_shape)``.
            mask: ``(n, 1, *spatial_shape)`` with labels 0 to ``mask_classes - 1`` in any dtype; None without masks.

        Raises:
            ValueError: a mask too many or missing, a wrong shape, or a label that is not allowed.
        """
        if image.shape[1:] != (self.image_channels, *self.spatial_shape):
            needed = ("n", self.image_channels, *self.spatial_shape)
            raise ValueError(f"image is {tuple(image.shape)}, needed: {needed}.")
        if (mask is None) != (self.mask_classes == 0):
            raise ValueError(
                f"mask_classes is {self.mask_classes}, the mask is {'missing' if mask is None else 'given'}."
            )
        if mask is None:
            return image.float()
        if mask.shape != (len(image), 1, *self.spatial_shape):
            raise ValueError(f"mask is {tuple(mask.shape)}, needed: {(len(image), 1, *self.spatial_shape)}.")
        labels = mask[:, 0].long()
        low, high = int(labels.min()), int(labels.max())
        if low < 0 or high >= self.mask_classes:
            raise ValueError(f"mask holds labels from {low} to {high}, allowed: 0 to {self.mask_classes - 1}.")
        one_hot = functional.one_hot(labels, self.mask_classes).movedim(-1, 1)
        return torch.cat([image.float(), one_hot.float()], dim=1)

    def _check_classes(self, classes: Tensor | None, count: int) -> None:
        if (classes is None) != (self.n_classes == 0):
            raise ValueError(
                f"n_classes is {self.n_classes}, the classes are {'missing' if classes is None else 'given'}."
            )
        if classes is None:
            return
        if classes.shape != (count,):
            raise ValueError(f"classes are {tuple(classes.shape)}, needed: ({count},).")
        if bool(((classes < 0) | (classes >= self.n_classes)).any()):
            low, high = int(classes.min()), int(classes.max())
            raise ValueError(f"classes lie from {low} to {high}, allowed: 0 to {self.n_classes - 1}.")

    def _split_code(self, code: Tensor) -> tuple[Tensor, Tensor]:
        """The code z and the one-hot class (without columns in an unconditional network)."""
        if code.ndim != 2 or code.shape[1] != self.code_dim:
            raise ValueError(f"the code is {tuple(code.shape)}, needed: (n, {self.code_dim}).")
        return code[:, : self.latent_dim], code[:, self.latent_dim :]

    @property
    def _n_voxels(self) -> int:
        return math.prod(self.spatial_shape)
