# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""A diffusion model as a decoder: its code is the noise that it starts from."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from monai_genaug.latent import NormalLatent
from monai_genaug.latent.draws import standard_normal
from monai_genaug.networks.diffusion_process import DiffusionProcess
from monai_genaug.networks.latent_decoder import LatentDecoder

__all__ = ["DiffusionDecoder"]


class DiffusionDecoder(LatentDecoder):
    """Makes samples with a diffusion model, in 2D and 3D: from noise, by the steps of a :class:`DiffusionProcess`.

    The code z is the noise at the start. Steps of DDIM and of a rectified flow are functions of it; DDPM takes new
    noise in each step, which here is drawn with a seed that is a hash of z. So a sample is a function of its code.
    There is no truncation: scaled noise is not what the model was trained on.

    With classes, ``unet`` reads their numbers (``class_labels``) or a vector for each (``class_context``). One that was
    trained for guidance (Ho and Salimans, arXiv 2207.12598) knows one class more, the last: "no class".

    Args:
        unet: MONAI's ``DiffusionModelUNet``, or what is called like it.
        process: the way from noise to data.
        spatial_shape: size of the samples.
        image_channels: channels of the image.
        mask_classes: classes of the label map including background; 0 for images alone. The model makes the map as
            further channels, one per class.
        n_classes: classes of samples; 0 for an unconditional model.
        guidance: 1 for the model of the class alone; more to move away from the model without class.
        image_range: values of the model's images for 0 and 1 in ours.
        first_stage: of a latent diffusion model: MONAI's ``AutoencoderKL``, or what has its ``encode_stage_2_inputs``
            and ``decode_stage_2_outputs``; None for a model of pixels.
        noise_shape: channels and size of what ``unet`` denoises; by default those of image and mask.
        scale_factor: what the first stage's codes are multiplied with.
        class_context: vectors ``(n_classes, length, dim)`` for a ``unet`` with cross-attention, one more row at the end
            for "no class".

    Attributes:
        null_class: number of "no class"; None if the model has none.

    Raises:
        ValueError: a value that is not allowed.
    """

    first_stage: Any
    scale_factor: Tensor
    class_context: Tensor | None

    def __init__(
        self,
        unet: nn.Module,
        process: DiffusionProcess,
        spatial_shape: Sequence[int],
        image_channels: int = 1,
        mask_classes: int = 0,
        n_classes: int = 0,
        guidance: float = 1.0,
        image_range: Sequence[float] = (-1.0, 1.0),
        first_stage: nn.Module | None = None,
        noise_shape: Sequence[int] | None = None,
        scale_factor: float = 1.0,
        class_context: Tensor | None = None,
    ) -> None:
        if noise_shape is None:
            if first_stage is not None:
                raise ValueError("noise_shape is missing: channels and size of the first stage's codes.")
            noise_shape = (image_channels + mask_classes, *spatial_shape)
        if len(noise_shape) != len(spatial_shape) + 1 or min(noise_shape) < 1:
            raise ValueError(f"noise_shape is {tuple(noise_shape)}, needed: channels and {len(spatial_shape)} sizes.")
        latent = _StartingNoise(math.prod(noise_shape))
        super().__init__(
            len(spatial_shape), spatial_shape, image_channels, mask_classes, latent.latent_dim, n_classes, latent
        )
        low, high = (float(value) for value in image_range)
        if not low < high:
            raise ValueError(f"image_range is {tuple(image_range)}, allowed: a smaller and a larger number.")
        if not 0.0 < scale_factor < math.inf:
            raise ValueError(f"scale_factor is {scale_factor}, allowed: positive numbers.")
        self.unet, self.first_stage, self.process = unet, first_stage, process
        self.noise_shape, self.image_range = tuple(int(size) for size in noise_shape), (low, high)
        self.register_buffer("scale_factor", torch.tensor(float(scale_factor)))
        self.register_buffer("class_context", class_context, persistent=class_context is not None)
        self.null_class = self._null_class()
        self.guidance = float(guidance)
        if not 0.0 <= self.guidance < math.inf or (self.guidance != 1.0 and self.null_class is None):
            allowed = "1 (the model knows no 'no class')" if self.null_class is None else "numbers from 0"
            raise ValueError(f"guidance is {guidance}, allowed: {allowed}.")

    def autoencoder(self) -> Any:
        """The first stage, where it is an autoencoder; no property, since tracing a module reads all of them.

        Raises:
            ValueError: there is none.
        """
        needed = ("encode", "decode")
        if not all(hasattr(self.first_stage, name) for name in needed):
            raise ValueError(
                f"there is no autoencoder: the first stage is {type(self.first_stage).__name__}, needed: MONAI's "
                f"AutoencoderKL, or what has its methods {needed}."
            )
        return self.first_stage

    def forward(self, code: Tensor) -> Tensor:
        """See :meth:`LatentDecoder.forward`."""
        z, one_hot = self._split_code(code)
        classes = one_hot.argmax(dim=1) if self.n_classes else None
        x, noise = z.view(-1, *self.noise_shape), self._step_noise(z)
        for index, timestep in enumerate(self.process.timesteps):
            predicted = self._guided(x, torch.full_like(z[:, 0], timestep), classes)
            x = self.process.step(index, x, predicted, partial(noise, index))
        return self._decoded(x.float())

    def predicted(self, x: Tensor, timesteps: Tensor, classes: Tensor | None = None) -> Tensor:
        """What the model predicts, without guidance.

        Args:
            x: ``(n, *noise_shape)``.
            timesteps: ``(n,)``.
            classes: numbers ``(n,)``, :attr:`null_class` for "no class"; None for an unconditional model.
        """
        if classes is None:
            made: Tensor = self.unet(x, timesteps)
        elif self.class_context is not None:
            made = self.unet(x, timesteps, context=self.class_context[classes])
        else:
            made = self.unet(x, timesteps, class_labels=classes)
        return made

    def model_space(self, image: Tensor, mask: Tensor | None = None) -> Tensor:
        """Samples as the model sees them, ``(n, *noise_shape)``: what it is trained to denoise.

        Args:
            image, mask: as in :meth:`image_space`.

        Raises:
            ValueError: an image or mask that does not fit.
        """
        x = self.image_space(image, mask)
        return x if self.first_stage is None else self.first_stage.encode_stage_2_inputs(x) * self.scale_factor

    def reconstruct(self, image: Tensor, mask: Tensor | None = None) -> Tensor:
        """What an autoencoder as first stage keeps of samples: they are encoded, without noise, and decoded.

        Args:
            image, mask: as in :meth:`image_space`.

        Returns:
            As :meth:`forward`.

        Raises:
            ValueError: there is no autoencoder, or an image or mask that does not fit.
        """
        mean, _ = self.autoencoder().encode(self.image_space(image, mask))
        return self._decoded(mean * self.scale_factor)

    def image_space(self, image: Tensor, mask: Tensor | None = None) -> Tensor:
        """Samples as a first stage sees them: image and one-hot mask, with values in :attr:`image_range`.

        Args:
            image: ``(n, image_channels, *spatial_shape)`` in [0, 1].
            mask: ``(n, 1, *spatial_shape)``, labels 0 to ``mask_classes - 1``; None for a model without masks.

        Returns:
            ``(n, image_channels + mask_classes, *spatial_shape)``.

        Raises:
            ValueError: an image or mask that does not fit.
        """
        low, high = self.image_range
        return low + (high - low) * self._planes(image, mask)

    def _guided(self, x: Tensor, timesteps: Tensor, classes: Tensor | None) -> Tensor:
        if classes is None or self.guidance == 1.0:
            return self.predicted(x, timesteps, classes)
        assert self.null_class is not None
        conditions = torch.cat([torch.full_like(classes, self.null_class), classes])
        without, of_class = self.predicted(x.repeat(2, *[1] * (x.ndim - 1)), timesteps.repeat(2), conditions).chunk(2)
        return without + self.guidance * (of_class - without)  # arXiv 2207.12598, equation 6, with w = guidance - 1

    def _decoded(self, x: Tensor) -> Tensor:
        if self.first_stage is not None:
            x = self.first_stage.decode_stage_2_outputs(x / self.scale_factor).float()
        if x.shape[1:] != (self.image_channels + self.mask_classes, *self.spatial_shape):
            needed = ("n", self.image_channels + self.mask_classes, *self.spatial_shape)
            raise ValueError(f"the model makes {tuple(x.shape)}, needed: {needed}.")
        low, high = self.image_range
        planes = (x - low) / (high - low)
        image = planes[:, : self.image_channels].clamp(0.0, 1.0)
        return torch.cat([image, planes[:, self.image_channels :]], dim=1) if self.mask_classes else image

    def _step_noise(self, z: Tensor) -> Callable[[int], Tensor]:
        """Index of a step -> its noise, row by row a function of the code's row."""
        seeds = [_hash_of(row) for row in z.detach().float().cpu()] if self.process.is_stochastic else []

        def noise(index: int) -> Tensor:
            return standard_normal(seeds, self.latent_dim, stream=index).to(z).view(-1, *self.noise_shape)

        return noise

    def _null_class(self) -> int | None:
        if self.class_context is not None:
            known = len(self.class_context)
        else:
            known = getattr(self.unet, "num_class_embeds", None) or 0
        if not (self.n_classes <= known <= self.n_classes + 1 and (self.n_classes > 0 or known == 0)):
            allowed = f"{self.n_classes}, or {self.n_classes + 1} with 'no class'" if self.n_classes else "0"
            raise ValueError(f"n_classes is {self.n_classes}, but the model knows {known} classes; allowed: {allowed}.")
        return self.n_classes if known > self.n_classes else None


class _StartingNoise(NormalLatent):
    """Noise that is not scaled."""

    supports_truncation: ClassVar[bool] = False


def _hash_of(row: Tensor) -> int:
    """A seed in [0, 2^63)."""
    return int.from_bytes(hashlib.blake2b(row.numpy().tobytes(), digest_size=8).digest(), "little") >> 1
