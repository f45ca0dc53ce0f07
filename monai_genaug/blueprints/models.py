# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""The networks that can be trained on images of one's own, with settings for modest sizes and hardware."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["MODELS", "BlueprintModel", "check_size", "model_named"]

_SMALLEST = 8


@dataclass(frozen=True)
class BlueprintModel:
    """A network and how it is trained.

    Attributes:
        method: ``"vae"``, ``"gan"``, ``"diffusion"`` or ``"latent_diffusion"``.
        network: class name in :mod:`monai_genaug.networks`.
        conditional: whether it needs classes; None: takes them where there are some.
        truncation: whether its samples can be truncated.
        network_args: arguments of the network for a shape, channels and a number of classes.
        training: entries of ``train.json`` for the same.
    """

    method: str
    network: str
    conditional: bool | None
    truncation: bool
    network_args: Callable[[Sequence[int], int, int], dict[str, Any]]
    training: Callable[[Sequence[int], int, int], dict[str, Any]] = lambda shape, channels, classes: {}


def model_named(name: str) -> BlueprintModel:
    """The model.

    Raises:
        ValueError: an unknown name.
    """
    if name not in MODELS:
        raise ValueError(f"model is {name!r}, allowed: {tuple(MODELS)}.")
    return MODELS[name]


def check_size(model: BlueprintModel, shape: Sequence[int]) -> None:
    """Refuses sizes that the model cannot make.

    Raises:
        ValueError: the size, and those that are allowed.
    """
    arguments = model.network_args(shape, 1, 2 if model.conditional else 0)
    multiple = _multiple(model.method, arguments)
    smallest = max(_SMALLEST, multiple)
    if min(shape) < smallest or any(size % multiple for size in shape):
        sizes = f"multiples of {multiple}" if multiple > 1 else "whole numbers"
        raise ValueError(f"size is {shape[0]}, allowed for {model.network} in {len(shape)}D: {sizes} from {smallest}.")


def _multiple(method: str, arguments: dict[str, Any]) -> int:
    """What every axis has to be a multiple of."""
    levels = len(arguments["channels"])
    if method == "latent_diffusion":
        return int(2 ** (len(arguments["autoencoder_channels"]) + levels - 2))
    if method == "diffusion":
        return int(arguments["patch_size"] * 2 ** (levels - 1))
    is_residual = method == "vae" and arguments.get("stack", "residual") == "residual"
    return int(2**levels) if is_residual else 1


def _common(shape: Sequence[int], channels: int) -> dict[str, Any]:
    return {"spatial_dims": len(shape), "spatial_shape": list(shape), "image_channels": channels}


def _stacked(shape: Sequence[int], channels: int) -> dict[str, Any]:
    """The plain stack in 2D; in 3D, where its output block is expensive, the residual one."""
    if len(shape) == 2:
        return {**_common(shape, channels), "channels": [16, 32, 64, 128, 256], "stack": "batch_norm"}
    return {**_common(shape, channels), "channels": [16, 32, 64], "stack": "residual"}


def _conditional_vae(shape: Sequence[int], channels: int, classes: int) -> dict[str, Any]:
    return {**_stacked(shape, channels), "latent_dim": 32, "latent": "gaussian_mixture", "n_classes": classes}


def _vae(shape: Sequence[int], channels: int, classes: int) -> dict[str, Any]:
    return {**_stacked(shape, channels), "latent_dim": 32, "latent": "gaussian_mixture"}


def _joint_vae(shape: Sequence[int], channels: int, classes: int) -> dict[str, Any]:
    capacities = {"capacity_continuous": 60.0, "capacity_discrete": 2.0, "capacity_steps": 2500}
    codes = {"continuous_dim": 32, "n_categories": 10, "latent": "gaussian_mixture"}
    return {**_stacked(shape, channels), **codes, **capacities}


def _rhvae(shape: Sequence[int], channels: int, classes: int) -> dict[str, Any]:
    halvings = [16, 32, 64, 64][: 4 if len(shape) == 3 else 3]
    flow = {"n_leapfrog": 1, "leapfrog_step": 0.001, "second_order": False}
    return {**_common(shape, channels), "channels": halvings, "latent_dim": 16, **flow}


def _dcgan(shape: Sequence[int], channels: int, classes: int) -> dict[str, Any]:
    widths = {"latent_dim": 128, "channels": [256, 128, 64, 32]}
    return {**_common(shape, channels), **widths, "n_classes": classes, "upsampling": "resize"}


def _critic(shape: Sequence[int], channels: int, classes: int) -> dict[str, Any]:
    heads = {"n_classes": classes, "class_heads": ["projection", "auxiliary"]} if classes else {}
    norms = {"norm": "batch", "spectral_norm": True}  # without batch norm it learns too slowly for short trainings
    critic = {**_common(shape, channels), "channels": [32, 64, 128, 256], **norms, **heads}
    rates = {"lr": 0.0002, "d_optimizer#lr": "$2 * @lr"}
    return {"discriminator_args": critic, **rates, "trainer#adversarial": "hinge", "batch_size": 16}


def _diffusion(shape: Sequence[int], channels: int, classes: int) -> dict[str, Any]:
    """The U-Net sees patches: full resolution would cost several times as much."""
    widths = {"channels": [32, 64, 64], "patch_size": 2} if len(shape) == 2 else {"channels": [64, 96], "patch_size": 4}
    sampling = {"scheduler": "rflow", "num_inference_steps": 20}
    return {**_common(shape, channels), **widths, **sampling, "n_classes": classes}


def _diffusion_training(shape: Sequence[int], channels: int, classes: int) -> dict[str, Any]:
    return {"lr": 0.001, "batch_size": 32}


def _latent_diffusion(shape: Sequence[int], channels: int, classes: int) -> dict[str, Any]:
    """Codes have a quarter of the size on every axis."""
    fine, groups = ([16, 32, 64], 16) if len(shape) == 2 else ([8, 16, 32], 8)
    widths = {"autoencoder_channels": fine, "latent_channels": 4, "channels": [64, 96], "norm_num_groups": groups}
    sampling = {"scheduler": "rflow", "num_inference_steps": 20}
    return {**_common(shape, channels), **widths, **sampling, "n_classes": classes}


def _latent_diffusion_training(shape: Sequence[int], channels: int, classes: int) -> dict[str, Any]:
    return {"lr": 0.0005, "batch_size": 16 if len(shape) == 2 else 4}


MODELS = {
    "vae": BlueprintModel("vae", "VAE", False, True, _vae),
    "conditional_vae": BlueprintModel("vae", "ConditionalVAE", True, True, _conditional_vae),
    "joint_vae": BlueprintModel("vae", "JointVAE", False, True, _joint_vae),
    "rhvae": BlueprintModel("vae", "RHVAE", False, False, _rhvae),
    "sngan": BlueprintModel("gan", "DCGANGenerator", None, True, _dcgan, _critic),
    "diffusion": BlueprintModel("diffusion", "UNetDiffusion", None, False, _diffusion, _diffusion_training),
    "latent_diffusion": BlueprintModel(
        "latent_diffusion", "LatentDiffusion", None, False, _latent_diffusion, _latent_diffusion_training
    ),
}
"""Name -> model."""
