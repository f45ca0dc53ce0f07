# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Augmentation between generator and discriminator, against overfitting of the discriminator on few images."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["DifferentiableAugmentation"]

PADDINGS = ("border", "zeros")


class DifferentiableAugmentation(nn.Module):
    """Random changes of real and generated images alike, through which gradients reach the generator, in 2D and 3D.

    Zhao et al., arXiv 2006.10738. Each sample gets its own change, drawn from the global random numbers of the CPU:
    equal seeds give equal changes on every device. What is turned off draws nothing.

    Args:
        flip: mirror half of the samples. The generator then learns to make mirrored images, too.
        translation: largest shift, as a share of each axis.
        padding: what translations bring in: ``"border"`` repeats the border, ``"zeros"`` is the paper's; in short
            trainings, generators pick up its black edges.
        brightness: largest offset, in units of the intensity.
        contrast: largest deviation from 1 of the factor on the distance from a sample's mean.
        cutout: size of a box of zeros, as a share of each axis; its centre lies anywhere in the image.
        flip_axis: spatial axis from left to right: the last one of pictures (rows first), 0 in volumes in RAS.

    Raises:
        ValueError: a value that is not allowed.
    """

    def __init__(
        self,
        flip: bool = True,
        translation: float = 0.125,
        brightness: float = 0.0,
        contrast: float = 0.0,
        cutout: float = 0.0,
        flip_axis: int = -1,
        padding: str = "border",
    ) -> None:
        super().__init__()
        if padding not in PADDINGS:
            raise ValueError(f"padding is {padding!r}, allowed: {PADDINGS}.")
        for name, value in (("translation", translation), ("contrast", contrast), ("cutout", cutout)):
            if not 0.0 <= value <= 1.0:
                raise ValueError(f"{name} is {value}, allowed: 0 to 1.")
        if not 0.0 <= brightness < float("inf"):
            raise ValueError(f"brightness is {brightness}, allowed: finite numbers from 0.")
        self.flip, self.flip_axis, self.padding = flip, flip_axis, padding
        self.translation, self.brightness, self.contrast, self.cutout = translation, brightness, contrast, cutout

    def forward(self, images: Tensor) -> Tensor:
        """``(n, C, *spatial)`` -> the same shape; intensities may leave their range.

        Raises:
            ValueError: the images have no axis ``flip_axis``.
        """
        if self.flip:
            images = self._flipped(images)
        if self.brightness:
            images = images + _symmetric(images) * self.brightness
        if self.contrast:
            mean = images.mean(dim=tuple(range(1, images.ndim)), keepdim=True)
            images = (images - mean) * (1.0 + _symmetric(images) * self.contrast) + mean
        if self.translation:
            images = self._translated(images)
        if self.cutout:
            images = self._cut_out(images)
        return images

    def extra_repr(self) -> str:
        """The arguments."""
        return (
            f"flip={self.flip}, translation={self.translation}, brightness={self.brightness}, "
            f"contrast={self.contrast}, cutout={self.cutout}, flip_axis={self.flip_axis}, padding={self.padding!r}"
        )

    def _flipped(self, images: Tensor) -> Tensor:
        spatial = images.ndim - 2
        if not -spatial <= self.flip_axis < spatial:
            raise ValueError(f"flip_axis is {self.flip_axis}, allowed here: {-spatial} to {spatial - 1}.")
        axis = self.flip_axis % spatial + 2
        return torch.where(_per_sample(torch.rand(len(images)) < 0.5, images), images.flip(axis), images)

    def _translated(self, images: Tensor) -> Tensor:
        for axis, size in enumerate(images.shape[2:], start=2):
            reach = int(size * self.translation + 0.5)
            shift = torch.randint(-reach, reach + 1, (len(images), 1))
            source = torch.arange(size) - shift  # (n, size): where each position's value comes from
            index = _along(source.clamp(0, size - 1).to(images.device), images, axis)
            images = torch.take_along_dim(images, index, dim=axis)
            if self.padding == "zeros":
                images = images * _along(((source >= 0) & (source < size)).to(images), images, axis)
        return images

    def _cut_out(self, images: Tensor) -> Tensor:
        box = torch.ones_like(images[:, :1])
        for axis, size in enumerate(images.shape[2:], start=2):
            length = int(size * self.cutout + 0.5)
            start = torch.randint(0, size, (len(images), 1)) - length // 2
            position = torch.arange(size)
            box = box * _along(((position >= start) & (position < start + length)).to(images), images, axis)
        return images * (1.0 - box)


def _symmetric(images: Tensor) -> Tensor:
    """Uniform in [-1, 1], one per sample, broadcastable to the images."""
    return _per_sample(2.0 * torch.rand(len(images)) - 1.0, images).to(images.dtype)


def _per_sample(values: Tensor, images: Tensor) -> Tensor:
    return values.to(images.device).view(-1, *[1] * (images.ndim - 1))


def _along(values: Tensor, images: Tensor, axis: int) -> Tensor:
    """Values ``(n, size)`` laid along one axis, broadcastable to the images."""
    shape = [len(images)] + [1] * (images.ndim - 1)
    shape[axis] = values.shape[1]
    return values.view(shape)
