# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""A diffusion model of MONAI's U-Net, built from plain arguments, as configs need it."""

from __future__ import annotations

from collections.abc import Sequence

from monai.networks.nets import DiffusionModelUNet
from monai.networks.utils import pixelshuffle, pixelunshuffle
from torch import Tensor, nn

from monai_genaug.networks.diffusion_decoder import DiffusionDecoder
from monai_genaug.networks.diffusion_process import DiffusionProcess, scheduler_by_name

__all__ = ["UNetDiffusion", "denoising_unet"]


class UNetDiffusion(DiffusionDecoder):
    """:class:`DiffusionDecoder` with MONAI's ``DiffusionModelUNet``. With classes it also learns "no class".

    With a ``patch_size`` p > 1 the U-Net sees p x p (x p) pixels as channels of one grid point (``pixelunshuffle``):
    nothing is lost, and it costs much less than full resolution.

    Args:
        spatial_dims: 2 or 3.
        spatial_shape: size of the samples, a multiple of ``patch_size * 2**(len(channels) - 1)`` on every axis.
        image_channels: channels of the image.
        mask_classes: classes of the label map including background; 0 for images alone.
        n_classes: classes; 0 for an unconditional model.
        channels: of the U-Net's levels, from fine to coarse.
        num_res_blocks: residual blocks per level.
        attention_levels: for each level, whether it has self-attention; by default the coarsest alone.
        norm_num_groups: groups of the normalisation; every entry of ``channels`` is a multiple.
        num_head_channels: channels per attention head.
        patch_size: see above.
        scheduler: ``"ddpm"``, ``"ddim"`` or ``"rflow"``, see :func:`scheduler_by_name`.
        num_inference_steps: steps from noise to sample.
        guidance: see :class:`DiffusionDecoder`.
        num_train_timesteps, schedule, prediction_type: see :func:`scheduler_by_name`.

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
        channels: Sequence[int] = (32, 64, 64),
        num_res_blocks: int = 1,
        attention_levels: Sequence[bool] | None = None,
        norm_num_groups: int = 16,
        num_head_channels: int = 32,
        patch_size: int = 1,
        scheduler: str = "rflow",
        num_inference_steps: int = 25,
        guidance: float = 1.0,
        num_train_timesteps: int = 1000,
        schedule: str = "linear_beta",
        prediction_type: str = "epsilon",
    ) -> None:
        if len(spatial_shape) != spatial_dims:
            raise ValueError(f"spatial_shape {tuple(spatial_shape)} does not fit spatial_dims={spatial_dims} (2 or 3).")
        if not channels or min(channels) < 1 or patch_size < 1:
            raise ValueError(f"channels are {tuple(channels)}, patch_size is {patch_size}, allowed: 1 and more.")
        multiple = patch_size * 2 ** (len(channels) - 1)
        if any(size < 1 or size % multiple for size in spatial_shape):
            raise ValueError(f"spatial_shape is {tuple(spatial_shape)}, allowed: multiples of {multiple}.")
        grid = [size // patch_size for size in spatial_shape]
        planes = (image_channels + mask_classes) * patch_size**spatial_dims
        unet = denoising_unet(
            spatial_dims,
            planes,
            n_classes,
            channels,
            num_res_blocks,
            attention_levels,
            norm_num_groups,
            num_head_channels,
        )
        made = scheduler_by_name(scheduler, num_train_timesteps, schedule, prediction_type)
        super().__init__(
            unet,
            DiffusionProcess(made, num_inference_steps),
            spatial_shape,
            image_channels,
            mask_classes,
            n_classes,
            guidance,
            first_stage=_Patches(spatial_dims, patch_size) if patch_size > 1 else None,
            noise_shape=(planes, *grid),
        )


def denoising_unet(
    spatial_dims: int,
    planes: int,
    n_classes: int,
    channels: Sequence[int],
    num_res_blocks: int,
    attention_levels: Sequence[bool] | None,
    norm_num_groups: int,
    num_head_channels: int,
) -> DiffusionModelUNet:
    """MONAI's U-Net from ``planes`` channels to as many, with the arguments of :class:`UNetDiffusion`.

    It knows "no class" besides ``n_classes`` classes.
    """
    return DiffusionModelUNet(
        spatial_dims,
        planes,
        planes,
        num_res_blocks=num_res_blocks,
        channels=tuple(channels),
        attention_levels=attention_levels or [False] * (len(channels) - 1) + [True],
        norm_num_groups=norm_num_groups,
        num_head_channels=num_head_channels,
        num_class_embeds=n_classes + 1 if n_classes else None,
    )


class _Patches(nn.Module):
    """Pixels as channels, with the methods of an autoencoder."""

    def __init__(self, spatial_dims: int, size: int) -> None:
        super().__init__()
        self.spatial_dims, self.size = spatial_dims, size

    def encode_stage_2_inputs(self, x: Tensor) -> Tensor:
        codes: Tensor = pixelunshuffle(x, self.spatial_dims, self.size)
        return codes

    def decode_stage_2_outputs(self, codes: Tensor) -> Tensor:
        x: Tensor = pixelshuffle(codes, self.spatial_dims, self.size)
        return x
