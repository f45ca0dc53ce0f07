# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""MONAI's diffusion networks as generators."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from monai_genaug.generators.network import NetworkGenerator
from monai_genaug.generators.spec import GeneratorSpec
from monai_genaug.networks import DiffusionDecoder, DiffusionProcess, scheduler_by_name

__all__ = ["DiffusionGenerator"]


class DiffusionGenerator(NetworkGenerator):
    """Makes samples with a trained diffusion model of MONAI, of pixels or of an autoencoder's codes.

    Each sample is a function of its seed and class, with any scheduler: also DDPM's noise comes from the sample's own
    seed. Channels, classes and sizes are the spec's.

    Args:
        unet: MONAI's ``DiffusionModelUNet``, trained; it is copied.
        spec: what it makes; an empty ``sha256`` becomes the hash of the weights.
        scheduler: one of MONAI's (``DDPMScheduler``, ``DDIMScheduler``, ``RFlowScheduler``), with the settings of the
            training; or ``"ddpm"``, ``"ddim"``, ``"rflow"`` for its defaults.
        num_inference_steps: steps from noise to sample; None for all steps of the training.
        guidance: strength of classifier-free guidance; 1 for none.
        autoencoder: of a latent diffusion model, such as ``AutoencoderKL``.
        image_range, noise_shape, scale_factor, class_context: see :class:`~monai_genaug.networks.DiffusionDecoder`.
        device: where samples are made and returned.

    Raises:
        ValueError: a value that is not allowed, or a spec that does not fit the model.

    Example:
        >>> from monai.networks.nets import DiffusionModelUNet
        >>> sizes = {"channels": (8, 16), "attention_levels": (False, False), "num_res_blocks": 1, "norm_num_groups": 4}
        >>> unet = DiffusionModelUNet(spatial_dims=2, in_channels=1, out_channels=1, num_head_channels=8, **sizes)
        >>> generator = mg.DiffusionGenerator(unet, mg.image_spec("mine", (16, 16)), "ddim", num_inference_steps=2)
        >>> generator.sample([1, 2])["image"].shape
        torch.Size([2, 1, 16, 16])
    """

    def __init__(
        self,
        unet: nn.Module,
        spec: GeneratorSpec,
        scheduler: Any = "ddim",
        num_inference_steps: int | None = None,
        guidance: float = 1.0,
        autoencoder: nn.Module | None = None,
        image_range: Sequence[float] = (-1.0, 1.0),
        noise_shape: Sequence[int] | None = None,
        scale_factor: float = 1.0,
        class_context: Tensor | None = None,
        device: str | torch.device = "cpu",
    ) -> None:
        if isinstance(scheduler, str):
            scheduler = scheduler_by_name(scheduler)
        sizes = spec.spatial_shape if noise_shape is None else tuple(noise_shape)[1:]
        masks = [output for output in spec.outputs.values() if output.kind == "mask"]
        network = DiffusionDecoder(
            unet,
            DiffusionProcess(scheduler, num_inference_steps, n_pixels=torch.Size(sizes).numel()),
            spec.spatial_shape,
            sum(output.channels for output in spec.outputs.values() if output.kind == "image"),
            sum(len(output.class_names) for output in masks),
            len(spec.classes or ()),
            guidance,
            image_range,
            autoencoder,
            noise_shape,
            scale_factor,
            class_context,
        )
        super().__init__(network, spec, device)
