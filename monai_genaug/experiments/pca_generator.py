# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""The linear baseline: principal components of paired volumes with Gaussian coefficients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from sklearn.decomposition import PCA
from torch import Tensor

from monai_genaug.generators.base import LatentGenerator
from monai_genaug.generators.class_labels import ClassLabel
from monai_genaug.generators.encoder_input import encoder_input
from monai_genaug.generators.spec import GeneratorSpec
from monai_genaug.latent import NormalLatent

__all__ = ["PCAGenerator"]


class PCAGenerator(LatentGenerator):
    """x = mean + W z with z ~ N(0, diag variances), fitted to images and one-hot masks of a training set.

    Args:
        training: ``image`` ``(n, c, *spatial)`` and, where the spec has one, ``mask`` ``(n, 1, *spatial)``.
        spec: of a generator of the same data; the baseline takes over its space.
        latent_dim: number of components, below n.
    """

    def __init__(self, training: Mapping[str, Tensor], spec: GeneratorSpec, latent_dim: int) -> None:
        named = spec.replace(name=f"pca_{latent_dim}", sha256="", truncation=True, encodes=tuple(spec.outputs))
        super().__init__(named)
        self._latent = NormalLatent(latent_dim)
        table = self._table(training)
        fitted = PCA(latent_dim, svd_solver="full", whiten=True).fit(table.numpy())
        self._mean = torch.from_numpy(fitted.mean_).float()
        self._axes = torch.from_numpy(fitted.components_ * fitted.explained_variance_[:, None] ** 0.5).float()
        self._latent.fit(self._project(table))

    @property
    def latent_spread(self) -> Tensor:
        """Typical distance per axis between neighbouring coefficients, ``(d,)``."""
        return self._latent.spread

    def encode(
        self,
        batch: Mapping[str, Tensor],
        class_label: ClassLabel | Sequence[ClassLabel] | None = None,
        seeds: Sequence[int] | None = None,
    ) -> Tensor:
        """Coefficients in units of their standard deviation; the model has no posterior noise, seeds change nothing."""
        return self._project(self._table(batch))

    def decode(self, z: Tensor, class_label: ClassLabel | Sequence[ClassLabel] | None = None) -> dict[str, Tensor]:
        """Volumes at coefficients ``(n, d)``; the mask is the largest of its channels."""
        channels = sum(len(o.class_names) if o.kind == "mask" else o.channels for o in self.spec.outputs.values())
        volumes = (self._mean + z @ self._axes).view(len(z), channels, *self.spec.spatial_shape)
        samples, start = {}, 0
        for name, output in self.spec.outputs.items():
            width = len(output.class_names) if output.kind == "mask" else output.channels
            part, start = volumes[:, start : start + width], start + width
            if output.kind == "mask":
                samples[name] = part.argmax(dim=1, keepdim=True).to(getattr(torch, output.dtype))
            else:
                low, high = output.value_range
                samples[name] = (low + (high - low) * part).clamp(low, high)
        return samples

    def sample_latent(
        self, seeds: Sequence[int], class_label: ClassLabel | Sequence[ClassLabel] | None = None, truncation: float = 1
    ) -> Tensor:
        """Coefficients ``(n, d)``, standard normal."""
        return self._latent.sample(seeds, truncation)

    def _generate(self, seeds: list[int], classes: list[int] | None, truncation: float) -> dict[str, Tensor]:
        return self.decode(self._latent.sample(seeds, truncation))

    def _table(self, batch: Mapping[str, Tensor]) -> Tensor:
        return encoder_input(batch, self._spec).flatten(1)

    def _project(self, table: Tensor) -> Tensor:
        return (table - self._mean) @ self._axes.T / self._axes.square().sum(dim=1)
