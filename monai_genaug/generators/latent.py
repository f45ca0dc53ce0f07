# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""A variational autoencoder with its latent distribution, as a generator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from torch import Tensor

from monai_genaug.generators.base import POSTERIOR_STREAM, LatentGenerator, Samples, checked_seeds, collected
from monai_genaug.generators.class_labels import ClassLabel, resolve_class_labels
from monai_genaug.generators.encoder_input import encoder_input
from monai_genaug.generators.network import NetworkGenerator
from monai_genaug.generators.single_volume import quick_single_volumes
from monai_genaug.generators.spec import GeneratorSpec
from monai_genaug.latent.draws import standard_normal
from monai_genaug.networks import LatentAutoencoder, LatentDecoder

__all__ = ["VAEGenerator"]


class VAEGenerator(NetworkGenerator, LatentGenerator):
    """Makes samples with a :class:`~monai_genaug.networks.LatentAutoencoder`, such as ``VAE`` or ``RHVAE``.

    Args:
        network, spec, device: as in :class:`NetworkGenerator`.

    Raises:
        ValueError: the spec does not fit the network, or the network has no encoder.
    """

    encodes_outputs: ClassVar[bool] = True

    @property
    def network(self) -> LatentAutoencoder:
        """See :attr:`NetworkGenerator.network`."""
        network = super().network
        assert isinstance(network, LatentAutoencoder)
        return network

    @property
    def latent_spread(self) -> Tensor:
        """Typical distance per latent axis between neighbouring codes, ``(d,)``."""
        return self.network.latent.spread

    def encode(
        self,
        batch: Mapping[str, Tensor],
        class_label: ClassLabel | Sequence[ClassLabel] | None = None,
        seeds: Sequence[int] | None = None,
    ) -> Tensor:
        """Codes ``(n, d)``, float32: means of q(z|x), or one draw of it per seed.

        Args:
            batch: output name -> ``(n, channels, *spatial_shape)``, for every name in ``spec.encodes``.
            class_label: as in :meth:`sample`.
            seeds: None, or n integers in [0, 2^63).

        Raises:
            ValueError: a batch that is not in the generator's space, or a number of seeds that is not n.
        """
        x = encoder_input(batch, self._spec)
        numbers = None if seeds is None else checked_seeds(seeds)
        if numbers is not None and len(numbers) != len(x):
            raise ValueError(f"{len(numbers)} seeds for {len(x)} items: give one per item.")
        network = self.network
        with torch.no_grad():
            x = network.with_class_planes(x.to(self._device), self._numbers(class_label, len(x)))
            noise = None
            if numbers is not None:
                noise = standard_normal(numbers, network.noise_dim, stream=POSTERIOR_STREAM).to(x)
            with quick_single_volumes(self._spec, self._device):
                parts = [
                    network.encode(
                        x[start : start + self.batch_size],
                        None if noise is None else noise[start : start + self.batch_size],
                    )
                    for start in range(0, len(x), self.batch_size)
                ]
        return torch.cat(parts).float()

    def decode(self, z: Tensor, class_label: ClassLabel | Sequence[ClassLabel] | None = None) -> Samples:
        """The samples at the codes ``z (n, d)``, as :meth:`sample` returns them.

        Raises:
            ValueError: ``z`` has another shape, or is not finite.
        """
        dimension = self.network.latent_dim
        if z.ndim != 2 or z.shape[1] != dimension or len(z) == 0:
            raise ValueError(f"z has shape {tuple(z.shape)}, {self._spec.name!r} needs (n, {dimension}).")
        if not z.isfinite().all():
            raise ValueError("z holds NaN or infinite values.")
        classes = resolve_class_labels(class_label, len(z), self._spec)

        def part(chunk: slice) -> Samples:
            return self._decode(z[chunk], None if classes is None else classes[chunk])

        with torch.no_grad():
            return collected(part, len(z), self.batch_size)

    def sample_latent(
        self, seeds: Sequence[int], class_label: ClassLabel | Sequence[ClassLabel] | None = None, truncation: float = 1
    ) -> Tensor:
        """The codes ``(n, d)``, float32, that :meth:`sample` decodes for the same arguments."""
        numbers = checked_seeds(seeds)
        classes = resolve_class_labels(class_label, len(numbers), self._spec)
        self._check_truncation(truncation)
        return self._draw(numbers, classes, truncation)

    def _numbers(self, class_label: ClassLabel | Sequence[ClassLabel] | None, count: int) -> Tensor | None:
        classes = resolve_class_labels(class_label, count, self._spec)
        return None if classes is None else torch.tensor(classes, device=self._device)

    @classmethod
    def check_fits(cls, network: LatentDecoder, spec: GeneratorSpec) -> None:
        """See :meth:`NetworkGenerator.check_fits`.

        Raises:
            ValueError: also a network without encoder.
        """
        if not isinstance(network, LatentAutoencoder):
            raise ValueError(f"{type(network).__name__} has no encoder: use NetworkGenerator.")
        super().check_fits(network, spec)
