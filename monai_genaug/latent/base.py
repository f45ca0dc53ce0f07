# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""What every distribution of the latent code z offers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from monai_genaug.latent.buffers import ResizableBuffers
from monai_genaug.latent.neighbours import check_codes, neighbour_spread

__all__ = ["LatentDistribution"]


class LatentDistribution(ResizableBuffers, ABC):
    """Distribution of z from which sample i is a function of seed i alone.

    All state lives in buffers: a network that owns a distribution as a submodule restores it with its own
    ``state_dict``. Subclasses implement :meth:`_draw`.

    Args:
        latent_dim: number of dimensions d of z, >= 1.

    Attributes:
        supports_truncation: whether ``sample`` takes a truncation below 1.
        spread: buffer ``(d,)``, typical per-axis distance between neighbouring codes, in units of z.

    Raises:
        ValueError: ``latent_dim`` is not positive.
    """

    supports_truncation: ClassVar[bool] = True
    spread: Tensor

    def __init__(self, latent_dim: int) -> None:
        super().__init__()
        if latent_dim < 1:
            raise ValueError(f"latent_dim must be >= 1, got {latent_dim}.")
        self.latent_dim = latent_dim
        self.register_buffer("spread", torch.ones(latent_dim))

    @property
    def is_fitted(self) -> bool:
        """Whether the distribution has all that it needs to sample."""
        return True

    def sample(self, seeds: Sequence[int], truncation: float = 1.0, classes: Sequence[int] | None = None) -> Tensor:
        """Draw one code per seed.

        Args:
            seeds: one per code, each in [0, 2^63).
            truncation: in (0, 1]; 1 is the whole distribution, towards 0 codes approach its centre.
            classes: class per code; only :class:`ClassWiseLatent` draws different classes differently.

        Returns:
            Tensor ``(len(seeds), d)``, float32, on the device of the buffers.

        Raises:
            ValueError: a seed or the truncation is out of range, or truncation is not supported.
            RuntimeError: the distribution has not been fitted.
        """
        self._check_truncation(truncation)
        self._check_fitted()
        with torch.no_grad():
            return self._draw(seeds, truncation).to(device=self.spread.device, dtype=torch.float32)

    def fit(self, codes: Tensor, *, classes: Tensor | None = None) -> None:
        """Measure the spread of training codes; a distribution with more to fit extends this.

        Args:
            codes: tensor ``(n, d)``, n >= 2.
            classes: class per code ``(n,)``; as in :meth:`sample`.

        Raises:
            ValueError: wrong shape, values that are not finite, or all codes equal.
        """
        check_codes(codes, self.latent_dim, at_least=2)
        self.spread = neighbour_spread(codes).to(self.spread)

    @abstractmethod
    def _draw(self, seeds: Sequence[int], truncation: float) -> Tensor:
        """Codes ``(len(seeds), d)`` in any floating dtype and on any device; arguments are checked already."""

    def _check_truncation(self, truncation: float) -> None:
        name = type(self).__name__
        if not self.supports_truncation and truncation != 1.0:
            raise ValueError(f"{name} has no truncation: it must be 1, got {truncation}.")
        if not 0.0 < truncation <= 1.0:
            raise ValueError(f"truncation of {name} must be in (0, 1], got {truncation}.")

    def _check_fitted(self) -> None:
        if not self.is_fitted:
            raise RuntimeError(
                f"{type(self).__name__} has not been fitted: call its fit() or load a state dict of a fitted one."
            )
