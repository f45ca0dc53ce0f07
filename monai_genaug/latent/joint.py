# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Codes with a continuous and a discrete part."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from monai_genaug.latent.base import LatentDistribution
from monai_genaug.latent.draws import uniform
from monai_genaug.latent.neighbours import check_codes

__all__ = ["JointLatent"]

_CATEGORY_STREAM = 2**32 + 16  # apart from all that the continuous part may draw from


class JointLatent(LatentDistribution):
    """p(z, c) = p(z) p(c) of Dupont, arXiv 1804.00104: continuous z, then one category c as a one-hot vector.

    Categories are drawn with the frequencies that the encoder gives them over the training set, uniformly before that.
    Truncation shrinks the continuous part alone.

    Args:
        continuous: distribution of z.
        n_categories: number of categories, 2 and more.

    Raises:
        ValueError: fewer than 2 categories.
    """

    frequencies: Tensor

    def __init__(self, continuous: LatentDistribution, n_categories: int) -> None:
        if n_categories < 2:
            raise ValueError(f"n_categories is {n_categories}, allowed: 2 and more.")
        super().__init__(continuous.latent_dim + n_categories)
        self.continuous, self.n_categories = continuous, n_categories
        self.supports_truncation = continuous.supports_truncation  # type: ignore[misc]  # as its continuous part does
        self.register_buffer("frequencies", torch.full((n_categories,), 1.0 / n_categories))
        self.spread = self._spread()

    @property
    def is_fitted(self) -> bool:
        """Whether the continuous part is."""
        return self.continuous.is_fitted

    def fit(self, codes: Tensor, *, classes: Tensor | None = None) -> None:
        """Fits z, and the categories' frequencies to the means of their probabilities.

        Args:
            codes: ``(n, d)``: z, then probabilities of the categories.
            classes: not used.

        Raises:
            ValueError: as :meth:`LatentDistribution.fit`.
        """
        check_codes(codes, self.latent_dim, at_least=2)
        z, probabilities = codes.split([self.continuous.latent_dim, self.n_categories], dim=1)
        self.continuous.fit(z)
        self.spread = self._spread()
        mean = probabilities.double().mean(dim=0)
        self.frequencies = (mean / mean.sum()).to(self.frequencies)

    def _spread(self) -> Tensor:
        """That of z; a neighbour keeps its category."""
        return functional.pad(self.continuous.spread, (0, self.n_categories))

    def _draw(self, seeds: Sequence[int], truncation: float) -> Tensor:
        z = self.continuous.sample(seeds, truncation)
        cumulative = self.frequencies.double().cpu().cumsum(0)
        threshold = uniform(seeds, 1, stream=_CATEGORY_STREAM).squeeze(1) * cumulative[-1]
        category = torch.searchsorted(cumulative, threshold).clamp_max(self.n_categories - 1)
        return torch.cat([z, functional.one_hot(category, self.n_categories).to(z)], dim=1)
