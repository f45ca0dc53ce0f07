# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""What all feature extractors have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from monai_genaug.metrics.features.resizing import smoothly_resized

__all__ = ["FeatureExtractor"]

_SLACK = 1e-3  # of the range's width: what interpolation and rounding may leave


class FeatureExtractor(nn.Module, ABC):
    """Turns images into rows of features, the same row for an image whatever the batch.

    A frozen module that stays in evaluation mode. Images are brought to its size (see
    :func:`~monai_genaug.metrics.features.resizing.smoothly_resized`) and to its number of channels (grey ones are
    repeated), and computed in chunks without gradients.

    Args:
        name: what reports call it.
        spatial_dims: 2 or 3.
        in_channels: channels that the network reads.
        size: what images are resized to, one number per axis.
        n_features: length of a row.
        batch_size: images per chunk; changes rounding errors alone.

    Raises:
        ValueError: a size that does not fit ``spatial_dims``, or a batch size below 1.

    Example:
        >>> extract = MedicalFeatures()
        >>> extract(torch.rand(5, 1, 28, 28)).shape
        torch.Size([5, 128])
    """

    def __init__(
        self, name: str, spatial_dims: int, in_channels: int, size: Sequence[int], n_features: int, batch_size: int
    ) -> None:
        super().__init__()
        if spatial_dims not in (2, 3) or len(size) != spatial_dims or min(size) < 1:
            raise ValueError(f"size {tuple(size)} does not fit spatial_dims={spatial_dims} (2 or 3).")
        if batch_size < 1:
            raise ValueError(f"batch_size is {batch_size}, allowed: 1 and more.")
        self.name, self.spatial_dims, self.in_channels = name, spatial_dims, in_channels
        self.size, self.n_features, self.batch_size = tuple(int(one) for one in size), n_features, batch_size

    @abstractmethod
    def features(self, x: Tensor) -> Tensor:
        """Features ``(n, n_features)`` of ``(n, in_channels, *size)`` images in [0, 1]."""

    def __call__(self, images: Tensor, value_range: tuple[float, float] = (0.0, 1.0)) -> Tensor:
        """Features of images.

        Args:
            images: ``(n, c, *spatial)``, floats or integers; c is 1 or the network's number of channels.
            value_range: of the images.

        Returns:
            ``(n, n_features)``, float32, on the extractor's device.

        Raises:
            ValueError: images of another kind, with values that are not finite, or outside of ``value_range``.
        """
        rows: Tensor = super().__call__(images, value_range)
        return rows

    @torch.no_grad()
    def forward(self, images: Tensor, value_range: tuple[float, float]) -> Tensor:
        """See :meth:`__call__`."""
        self._check(images, value_range)
        device = self._device()
        chunks = images.as_subclass(Tensor).split(self.batch_size)
        rows = [self._features_of(chunk.to(device), value_range) for chunk in chunks if len(chunk)]
        return torch.cat(rows) if rows else torch.zeros(0, self.n_features, device=device)

    def train(self, mode: bool = True) -> FeatureExtractor:
        """Stays in evaluation mode: features of an image must not depend on its batch."""
        return super().train(False)

    def _frozen(self) -> None:
        """Freezes the parameters; the last step of a subclass's construction."""
        self.requires_grad_(False).train(False)

    def _features_of(self, chunk: Tensor, value_range: tuple[float, float]) -> Tensor:
        low, high = value_range
        self._check_values(chunk, low, high)
        x = (chunk.float() - low) / (high - low)
        x = smoothly_resized(x, self.size).clamp(0.0, 1.0)
        rows = self.features(x.expand(-1, self.in_channels, *self.size))
        return rows.float()

    def _check(self, images: Tensor, value_range: tuple[float, float]) -> None:
        if images.ndim != self.spatial_dims + 2 or images.shape[1] not in (1, self.in_channels) or images.is_complex():
            channels = sorted({1, self.in_channels})
            raise ValueError(
                f"images are {images.dtype} of shape {tuple(images.shape)}, {self.name!r} needs real numbers "
                f"(n, c, {self.spatial_dims} sizes) with c of {channels}."
            )
        if not value_range[0] < value_range[1]:
            raise ValueError(f"value_range is {tuple(value_range)}, needed: (low, high) with low < high.")

    def _check_values(self, chunk: Tensor, low: float, high: float) -> None:
        least, most = float(chunk.min()), float(chunk.max())
        slack = _SLACK * (high - low)
        if not (low - slack <= least and most <= high + slack):  # NaN, too
            raise ValueError(f"images have values from {least:g} to {most:g}, value_range is ({low:g}, {high:g}).")

    def _device(self) -> torch.device:
        tensors = [*self.parameters(), *self.buffers()]
        return tensors[0].device if tensors else torch.device("cpu")
