# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Known changes of images that a feature network learns to tell, so that its features show them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["ChangedImages", "changed_images"]

_ORIENTATIONS = 8
_ZOOM, _SHIFT = 0.15, 0.08
_GAMMA = 1.6
_NOISE, _BLUR = 0.2, 2.5
_KERNEL = 13
_COLOUR = 0.5


@dataclass(frozen=True)
class ChangedImages:
    """Images and what was done to them.

    Args:
        images: ``(n, c, *spatial)`` in [0, 1].
        orientation: ``(n,)`` of 0 to 7.
        appearance: ``(n, 3 + c)`` in [-1, 1]: blur, noise, contrast, brightness of each channel.
    """

    images: Tensor
    orientation: Tensor
    appearance: Tensor


def changed_images(images: Tensor, channels: int, rng: torch.Generator) -> ChangedImages:
    """Turns, moves, blurs, adds noise to and tints images, each in its own way.

    Half of the images keep their sharpness, half have no noise, half no colour.

    Args:
        images: ``(n, 1, *spatial)`` in [0, 1], all axes equally long.
        channels: of the result.
        rng: source of all draws.
    """
    n = len(images)
    orientation = torch.randint(_ORIENTATIONS, (n,), generator=rng)
    x = _moved(_turned(images, orientation), rng)
    blur = _sometimes(torch.rand(n, generator=rng), rng)
    noise = _sometimes(torch.rand(n, generator=rng), rng)
    contrast = 2.0 * torch.rand(n, generator=rng) - 1.0
    colourful = torch.rand(n, 1, generator=rng) < _COLOUR
    gains = torch.where(colourful, torch.rand(n, channels, generator=rng), torch.ones(n, channels))
    x = _blurred(x, _BLUR * blur)
    x = x.clamp(0, 1) ** _column(_GAMMA**contrast, x)
    x = x * (1.0 - 0.6 * (1.0 - gains)).view(n, channels, *[1] * (x.ndim - 2))
    x = x + _column(_NOISE * noise.square(), x) * torch.randn(x.shape, generator=rng)
    appearance = torch.cat([torch.stack([blur, noise, contrast], dim=1), gains], dim=1)
    return ChangedImages(x.clamp(0, 1), orientation, appearance)


def _sometimes(values: Tensor, rng: torch.Generator) -> Tensor:
    return values * (torch.rand(len(values), generator=rng) < 0.5)


def _column(values: Tensor, x: Tensor) -> Tensor:
    return values.view(-1, *[1] * (x.ndim - 1))


def _turned(x: Tensor, orientation: Tensor) -> Tensor:
    """The bits of the number mirror axes; in 2D the third one swaps them."""
    axes = x.ndim - 2
    if axes == 2:
        x = torch.where(_column(orientation >= 4, x), x.transpose(2, 3), x)
    for axis in range(axes):
        x = torch.where(_column((orientation >> axis) % 2 == 1, x), x.flip(axis + 2), x)
    return x


def _moved(x: Tensor, rng: torch.Generator) -> Tensor:
    """Scaled along each axis on its own and shifted."""
    n, axes = len(x), x.ndim - 2
    scale = 1.0 + _ZOOM * (2.0 * torch.rand(n, axes, generator=rng) - 1.0)
    shift = _SHIFT * (2.0 * torch.rand(n, axes, generator=rng) - 1.0)
    theta = torch.cat([torch.diag_embed(scale), shift[:, :, None]], dim=2)
    grid = functional.affine_grid(theta, list(x.shape), align_corners=False)
    return functional.grid_sample(x, grid, padding_mode="border", align_corners=False)


def _blurred(x: Tensor, sigma: Tensor) -> Tensor:
    """Gaussian smoothing of each image with its own sigma in pixels; 0 changes nothing."""
    n, reach = len(x), _KERNEL // 2
    offsets = torch.arange(-reach, reach + 1)
    weights = (-0.5 * (offsets / sigma.clamp(min=1e-3)[:, None]).square()).exp()
    weights = (weights / weights.sum(dim=1, keepdim=True))[:, None]
    for axis in range(2, x.ndim):
        lines = x.movedim(axis, -1)
        rows = functional.pad(lines.reshape(n, -1, lines.shape[-1]), (reach, reach), mode="replicate").transpose(0, 1)
        smooth = functional.conv1d(rows, weights, groups=n).transpose(0, 1)
        x = smooth.reshape(lines.shape).movedim(-1, axis)
    return x
