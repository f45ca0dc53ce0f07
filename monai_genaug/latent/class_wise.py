# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""A distribution of its own for each class."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from monai_genaug.latent.base import LatentDistribution

__all__ = ["ClassWiseLatent"]


class ClassWiseLatent(LatentDistribution):
    """One distribution per class, all of one kind.

    The encoder of a conditional VAE sees the class, but nothing makes its codes independent of it: where they are
    not, codes of another class decode to images between the classes. Fitting each class by itself removes that.

    Args:
        n_classes: number of classes, 2 and more.
        member: the kind; each class gets a copy.

    Raises:
        ValueError: fewer than 2 classes.
    """

    def __init__(self, n_classes: int, member: LatentDistribution) -> None:
        super().__init__(member.latent_dim)
        if n_classes < 2:
            raise ValueError(f"n_classes is {n_classes}, allowed: 2 and more.")
        self.members: Sequence[LatentDistribution] = nn.ModuleList(  # type: ignore[assignment]  # it is one
            copy.deepcopy(member) for _ in range(n_classes)
        )
        self.supports_truncation = member.supports_truncation  # type: ignore[misc]  # as its members do

    @property
    def is_fitted(self) -> bool:
        """Whether every class is fitted."""
        return all(member.is_fitted for member in self.members)

    def sample(self, seeds: Sequence[int], truncation: float = 1.0, classes: Sequence[int] | None = None) -> Tensor:
        """See :meth:`LatentDistribution.sample`.

        Raises:
            ValueError: no class per seed, or one that is not there.
        """
        numbers = torch.as_tensor([] if classes is None else list(classes), dtype=torch.long)
        if len(numbers) != len(seeds) or bool(((numbers < 0) | (numbers >= len(self.members))).any()):
            raise ValueError(f"classes are {classes}, needed: one per seed, from 0 to {len(self.members) - 1}.")
        self._check_truncation(truncation)
        z = torch.empty(len(seeds), self.latent_dim, device=self.spread.device)
        for k in numbers.unique().tolist():
            rows = (numbers == k).nonzero().flatten()
            z[rows.to(z.device)] = self.members[k].sample([seeds[row] for row in rows.tolist()], truncation)
        return z

    def fit(self, codes: Tensor, *, classes: Tensor | None = None) -> None:
        """Fits each class to its own codes; see :meth:`LatentDistribution.fit`.

        Raises:
            ValueError: no class per code, or a class with too few codes. Nothing is fitted then.
        """
        if classes is None or classes.shape != codes.shape[:1]:
            given = None if classes is None else tuple(classes.shape)
            raise ValueError(f"classes are {given}, needed: ({len(codes)},), one per code.")
        fitted = copy.deepcopy(self.members)
        for k, member in enumerate(fitted):
            try:
                member.fit(codes[classes.to(codes.device) == k])
            except ValueError as error:
                raise ValueError(f"class {k}: {error}") from error
        super().fit(codes)
        self.members = fitted

    def _draw(self, seeds: Sequence[int], truncation: float) -> Tensor:
        raise AssertionError("sample() draws class by class")
