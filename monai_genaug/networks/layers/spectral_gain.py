# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""A linear filter that gives decoded images the power spectrum of real ones."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["SpectralGain", "filtered_images"]

_BINS = 24
_PAD = 8  # voxels around the image, against wrapping


class SpectralGain(nn.Module):
    """Scales the spatial frequencies of images by a radial profile.

    The decoder of a VAE gives the mean of what a code can stand for, in which fine detail is damped. Once, after
    training, :meth:`fit` measures by how much, as a function of frequency alone; the gain undoes it up to a factor of
    ``max_gain``, beyond which there is nothing but artefacts to amplify. Before that the module is the identity.

    Args:
        max_gain: largest factor.
    """

    gain: Tensor

    def __init__(self, max_gain: float = 3.0) -> None:
        super().__init__()
        self.max_gain = max_gain
        self.register_buffer("gain", torch.ones(_BINS))

    @property
    def is_fitted(self) -> bool:
        """Whether the filter does anything."""
        return bool((self.gain != 1.0).any())

    @torch.no_grad()
    def fit(self, real: Sequence[Tensor], decoded: Sequence[Tensor]) -> None:
        """Sets the gain to the root of the ratio of the power spectra, between 1 and ``max_gain``.

        Args:
            real: batches of images ``(n, c, *spatial)``.
            decoded: batches of what stands for them, the same shapes. Both are compared in the central two thirds of
                each axis, since the rest may be padded.
        """
        of_real = torch.stack([_power(batch) for batch in real]).mean(dim=0)
        of_decoded = torch.stack([_power(batch) for batch in decoded]).mean(dim=0)
        ratio = (of_real / of_decoded.clamp(min=torch.finfo(of_real.dtype).tiny)).sqrt()
        self.gain = ratio.clamp(1.0, self.max_gain).to(self.gain)

    def forward(self, images: Tensor) -> Tensor:
        """Filtered images, clipped to [0, 1]; the mean intensity stays."""
        return filtered_images(images, self.factor(images.shape[2:]))

    def factor(self, spatial_shape: Sequence[int]) -> Tensor:
        """What the frequencies of images of a size are multiplied by, on the grid of ``rfftn`` of the padded ones."""
        frequency = _frequency([size + 2 * _PAD for size in spatial_shape], self.gain.device)
        position = (frequency * _BINS - 0.5).clamp(0.0, _BINS - 1.0)
        below = position.floor().long().clamp(max=_BINS - 2)
        factor = torch.lerp(self.gain[below], self.gain[below + 1], position - below)
        return torch.where(position == 0.0, torch.ones_like(factor), factor)


def filtered_images(images: Tensor, factor: Tensor) -> Tensor:
    """Images ``(n, c, *spatial)`` whose frequencies are multiplied by ``factor``, clipped to [0, 1]."""
    axes = tuple(range(2, images.ndim))
    padded = functional.pad(images, (_PAD,) * (2 * len(axes)), mode="replicate")
    shape = padded.shape[2:]
    filtered = torch.fft.irfftn(torch.fft.rfftn(padded, dim=axes) * factor, s=list(shape), dim=axes)
    inner = tuple(slice(_PAD, size - _PAD) for size in shape)
    cropped: Tensor = filtered[(slice(None), slice(None), *inner)]
    return cropped.clamp(0.0, 1.0)


def _frequency(shape: Sequence[int], device: torch.device) -> Tensor:
    """Radial frequency on the grid of ``rfftn``, 1 in the corner."""
    last = torch.fft.rfftfreq(shape[-1], device=device)
    axes = [*(torch.fft.fftfreq(size, device=device) for size in shape[:-1]), last]
    squares = sum((axis**2 for axis in torch.meshgrid(*axes, indexing="ij")), torch.zeros((), device=device))
    return squares.sqrt() / (0.5 * math.sqrt(len(shape)))


def _power(images: Tensor) -> Tensor:
    """Mean power per radial bin of the windowed centre of images, ``(bins,)``, float64."""
    sizes = [2 * (size // 3) for size in images.shape[2:]]
    starts = [(whole - size) // 2 for whole, size in zip(images.shape[2:], sizes, strict=True)]
    box = tuple(slice(start, start + size) for start, size in zip(starts, sizes, strict=True))
    axes = tuple(range(2, images.ndim))
    centre = images[(slice(None), slice(None), *box)].double()
    centre = centre - centre.mean(dim=axes, keepdim=True)
    for axis, size in zip(axes, sizes, strict=True):
        window = torch.hann_window(size, periodic=False, dtype=torch.float64, device=images.device)
        centre = centre * window.view(-1, *[1] * (images.ndim - 1 - axis))
    power = torch.fft.rfftn(centre, dim=axes).abs().square().mean(dim=(0, 1)).flatten()
    bins = (_frequency(sizes, images.device) * _BINS).long().clamp(max=_BINS - 1).flatten()
    total = torch.zeros(_BINS, dtype=torch.float64, device=images.device).scatter_add(0, bins, power)
    count = torch.bincount(bins, minlength=_BINS)
    filled = count > 0
    mean = total / count.clamp(min=1)
    # A small image leaves bins empty; they take the nearest filled one below.
    last_filled = torch.where(filled, torch.arange(_BINS, device=images.device), 0).cummax(dim=0).values
    return mean[last_filled]
