# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""A latent diffusion model of MONAI's networks, built from plain arguments, as configs need it."""

from __future__ import annotations

from collections.abc import Sequence

from monai.networks.nets import AutoencoderKL

from monai_genaug.networks.diffusion_decoder import DiffusionDecoder
from monai_genaug.networks.diffusion_process import DiffusionProcess, scheduler_by_name
from monai_genaug.networks.unet_diffusion import denoising_unet

__all__ = ["LatentDiffusion"]


class LatentDiffusion(DiffusionDecoder):
    """:class:`DiffusionDecoder` of the codes of MONAI's ``AutoencoderKL``, both to be trained (arXiv 2112.10752).

    First :class:`~monai_genaug.engines.AutoencoderTrainer` trains :attr:`first_stage` and finds :attr:`scale_factor`,
    then :class:`~monai_genaug.engines.DiffusionTrainer` the U-Net. The autoencoder has no attention, which would cost
    much at full size and tie it to one.

    Args:
        spatial_dims: 2 or 3.
        spatial_shape: size of the samples; each level of the autoencoder but the first, and of the U-Net, halves it,
            so every axis is a multiple of ``2**(len(autoencoder_channels) + len(channels) - 2)``.
        image_channels: channels of the image.
        mask_classes: classes of the label map including background; 0 for images alone.
        n_classes: classes; 0 for an unconditional model.
        autoencoder_channels: of the autoencoder's levels, from fine to coarse.
        autoencoder_res_blocks: residual blocks per level of the autoencoder.
        latent_channels: channels of a code.
        channels, num_res_blocks, attention_levels, num_head_channels: of the U-Net, see :class:`UNetDiffusion`.
        norm_num_groups: groups of the normalisation in both; all channels but ``latent_channels`` are multiples.
        scheduler, num_inference_steps, guidance, num_train_timesteps, schedule, prediction_type: see
            :class:`UNetDiffusion`.

    Raises:
        ValueError: a value that is not allowed.
    """

    def __init__(
        self,
        spatial_dims: int,
        spatial_shape: Sequence[int],
        image_channels: int = 1,
        mask_classes: int = 0,
        n_classes: int = 0,
        autoencoder_channels: Sequence[int] = (32, 64, 64),
        autoencoder_res_blocks: int = 1,
        latent_channels: int = 4,
        channels: Sequence[int] = (64, 128),
        num_res_blocks: int = 1,
        attention_levels: Sequence[bool] | None = None,
        norm_num_groups: int = 16,
        num_head_channels: int = 32,
        scheduler: str = "rflow",
        num_inference_steps: int = 25,
        guidance: float = 1.0,
        num_train_timesteps: int = 1000,
        schedule: str = "linear_beta",
        prediction_type: str = "epsilon",
    ) -> None:
        if len(spatial_shape) != spatial_dims:
            raise ValueError(f"spatial_shape {tuple(spatial_shape)} does not fit spatial_dims={spatial_dims} (2 or 3).")
        for name, widths in (("autoencoder_channels", autoencoder_channels), ("channels", channels)):
            if not widths or any(width < 1 or width % norm_num_groups for width in widths):
                raise ValueError(
                    f"{name} are {tuple(widths)}, allowed: multiples of norm_num_groups={norm_num_groups}."
                )
        multiple = 2 ** (len(autoencoder_channels) + len(channels) - 2)
        if any(size < 1 or size % multiple for size in spatial_shape):
            raise ValueError(f"spatial_shape is {tuple(spatial_shape)}, allowed: multiples of {multiple}.")
        if latent_channels < 1:
            raise ValueError(f"latent_channels is {latent_channels}, allowed: 1 and more.")
        autoencoder = AutoencoderKL(
            spatial_dims,
            image_channels + mask_classes,
            image_channels + mask_classes,
            num_res_blocks=[autoencoder_res_blocks] * len(autoencoder_channels),
            channels=tuple(autoencoder_channels),
            attention_levels=[False] * len(autoencoder_channels),
            latent_channels=latent_channels,
            norm_num_groups=norm_num_groups,
            with_encoder_nonlocal_attn=False,
            with_decoder_nonlocal_attn=False,
        )
        unet = denoising_unet(
            spatial_dims,
            latent_channels,
            n_classes,
            channels,
            num_res_blocks,
            attention_levels,
            norm_num_groups,
            num_head_channels,
        )
        made = scheduler_by_name(scheduler, num_train_timesteps, schedule, prediction_type, clip_sample=False)
        reduction = 2 ** (len(autoencoder_channels) - 1)
        super().__init__(
            unet,
            DiffusionProcess(made, num_inference_steps),
            spatial_shape,
            image_channels,
            mask_classes,
            n_classes,
            guidance,
            first_stage=autoencoder,
            noise_shape=(latent_channels, *(size // reduction for size in spatial_shape)),
        )
