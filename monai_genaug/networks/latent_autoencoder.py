# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""What every variational autoencoder has in common: samples -> codes, the objective, and a fit for generation."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from monai_genaug.networks.latent_decoder import LatentDecoder

__all__ = ["LatentAutoencoder"]


class LatentAutoencoder(LatentDecoder):
    """A :class:`LatentDecoder` with an encoder, trained by a lower bound of the likelihood.

    What the encoder reads is made by :meth:`join`: as the class is a part of the code, it is a part of the input, one
    constant plane per class.
    """

    likelihood: str

    @property
    def noise_dim(self) -> int:
        """Numbers that :meth:`encode` takes to draw from q(z|x)."""
        return self.latent_dim

    @abstractmethod
    def encode(self, x: Tensor, noise: Tensor | None = None) -> Tensor:
        """Z ``(n, latent_dim)``: the mean of q(z|x), or its draw made of standard normal ``noise (n, noise_dim)``."""

    def code_of(self, x: Tensor) -> Tensor:
        """The code ``(n, code_dim)`` of x: :meth:`encode`, and the class that x holds."""
        return self._code(x, self.encode(x))

    @abstractmethod
    def decoded_mean(self, code: Tensor) -> Tensor:
        """What the likelihood uses: as calling the module, without the filter that :meth:`fit_generation` fits."""

    @abstractmethod
    def elbo(
        self, x: Tensor, observed: Tensor | None = None, generator: torch.Generator | None = None
    ) -> dict[str, Tensor]:
        """The negative evidence lower bound and its parts.

        Args:
            x: as :meth:`join` makes it.
            observed: 1 where the image was measured, 0 where it was padded.
            generator: CPU generator of the noise; None for the global one.

        Returns:
            ``loss``: negative ELBO in nats per element of the image; ``image``, ``mask``: negative log likelihoods in
            nats; ``kl`` in nats. All are means over the batch.
        """

    @abstractmethod
    def fit_generation(self, x: Sequence[Tensor], held_out: Sequence[Tensor]) -> None:
        """Fits what only generation needs, once, with the final network.

        Args:
            x: batches of the training set, as in :meth:`elbo`.
            held_out: batches that were not trained on; distributions that need none ignore them.
        """

    def join(self, image: Tensor, mask: Tensor | None = None, classes: Tensor | None = None) -> Tensor:
        """What :meth:`posterior` and :meth:`elbo` read, from an image, its label map and its class.

        Args:
            image: ``(n, image_channels, *spatial_shape)``, values in [0, 1].
            mask: ``(n, 1, *spatial_shape)`` with labels 0 to ``mask_classes - 1`` in any dtype; None without masks.
            classes: ``(n,)``, numbers 0 to ``n_classes - 1``; None for an unconditional network.

        Returns:
            ``(n, image_channels + mask_classes + n_classes, *spatial_shape)``, float32: the image, the one-hot mask,
            and the one-hot class as constant planes.

        Raises:
            ValueError: a mask or class too many or missing, a wrong shape, or a label that is not allowed.
        """
        return self.with_class_planes(self._planes(image, mask), classes)

    def with_class_planes(self, x: Tensor, classes: Tensor | None = None) -> Tensor:
        """Adds the one-hot class to ``(n, channels, *spatial_shape)``, one constant plane per class."""
        self._check_classes(classes, len(x))
        if classes is None:
            return x
        planes = functional.one_hot(classes.to(x.device), self.n_classes).to(x)
        return torch.cat([x, planes.view(*planes.shape, *[1] * self.spatial_dims).expand(-1, -1, *x.shape[2:])], dim=1)

    def _class_planes(self, x: Tensor) -> Tensor:
        """The one-hot class ``(n, n_classes)`` out of its planes."""
        return x[:, self.image_channels + self.mask_classes :].flatten(2)[:, :, 0]

    def _code(self, x: Tensor, z: Tensor) -> Tensor:
        """Z with the class of x."""
        return torch.cat([z, self._class_planes(x).to(z)], dim=1) if self.n_classes else z
