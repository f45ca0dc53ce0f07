# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Small networks of images with classes, and without, and the generators and bundles of them."""

from __future__ import annotations

import copy
import functools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from monai_genaug.generators import GeneratorSpec, NetworkGenerator, OutputSpec, VAEGenerator
from monai_genaug.latent.draws import standard_normal
from monai_genaug.networks import (
    ConditionalVAE,
    DCGANGenerator,
    DiffusionDecoder,
    JointVAE,
    LatentAutoencoder,
    LatentDecoder,
    LatentDiffusion,
    PerClassVAE,
    UNetDiffusion,
)
from monai_genaug.weights import save_weights

CLASSES = {0: "a", 1: "b"}
SHAPE = (8, 8)

_UNET = {"channels": [8], "norm_num_groups": 2, "num_head_channels": 8, "attention_levels": [False]}
FAMILIES: dict[str, tuple[type[LatentDecoder], dict[str, Any]]] = {
    "conditional_vae": (ConditionalVAE, {"n_classes": 2, "latent_dim": 4, "channels": [4, 8]}),
    "joint_vae": (JointVAE, {"continuous_dim": 3, "n_categories": 4, "channels": [4, 8]}),
    "per_class_vae": (
        PerClassVAE,
        {"n_classes": 2, "kind": "JointVAE", "continuous_dim": 3, "n_categories": 4, "channels": [4, 8]},
    ),
    "gan": (DCGANGenerator, {"latent_dim": 4, "channels": [8, 4]}),
    "conditional_gan": (DCGANGenerator, {"latent_dim": 4, "channels": [8, 4], "n_classes": 2}),
    "diffusion": (UNetDiffusion, {**_UNET, "scheduler": "rflow", "num_inference_steps": 2}),
    "conditional_diffusion": (
        UNetDiffusion,
        {**_UNET, "n_classes": 2, "guidance": 1.5, "scheduler": "ddim", "num_inference_steps": 2},
    ),
    "ddpm": (UNetDiffusion, {**_UNET, "scheduler": "ddpm", "num_inference_steps": 3, "prediction_type": "sample"}),
    "latent_diffusion": (
        LatentDiffusion,
        {**_UNET, "autoencoder_channels": [8], "latent_channels": 2, "n_classes": 2, "num_inference_steps": 2},
    ),
}


def family_arguments(kind: str, shape: Sequence[int] = SHAPE, **changes: Any) -> dict[str, Any]:
    """What the class of a family's network is called with."""
    return {**FAMILIES[kind][1], "spatial_dims": len(shape), "spatial_shape": list(shape), **changes}


def family_network(kind: str, shape: Sequence[int] = SHAPE, seed: int = 0, **changes: Any) -> Any:
    """A network with random weights, whose samples and classes differ by more than a rounding error."""
    return copy.deepcopy(_built(kind, tuple(shape), seed, tuple(changes.items())))


@functools.cache
def _built(kind: str, shape: tuple[int, ...], seed: int, changes: tuple[tuple[str, Any], ...]) -> LatentDecoder:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = FAMILIES[kind][0](**family_arguments(kind, shape, **dict(changes)))
        with torch.no_grad():
            for name, parameter in network.named_parameters():
                if "norm" in name:
                    parameter.add_(0.3 * torch.randn_like(parameter))
                elif not parameter.any() and parameter.ndim > 1:  # the last layer of a U-Net begins with zeros
                    parameter.normal_(0.0, 0.1)
                elif isinstance(network, DiffusionDecoder):
                    continue
                elif parameter.ndim > 1 and "encoder" not in name and "to_posterior" not in name:
                    parameter.mul_(3.0)
        _settle(network)
    return network


def family_spec(network: LatentDecoder, **changes: Any) -> GeneratorSpec:
    """The spec that fits a network of images."""
    is_encoding = isinstance(network, LatentAutoencoder)
    return GeneratorSpec(
        name="toy_family",
        outputs={"image": OutputSpec("image", network.image_channels, (0.0, 1.0), "float32")},
        spatial_shape=network.spatial_shape,
        classes=CLASSES if network.n_classes else None,
        intensity="range",
        intensity_range=(0.0, 255.0),
        fitting="resize",
        truncation=network.supports_truncation,
        encodes=("image",) if is_encoding else (),
    ).replace(**changes)


def family_generator(kind: str, shape: Sequence[int] = SHAPE, **changes: Any) -> NetworkGenerator:
    """The generator of a family's network."""
    network = family_network(kind, shape, **changes)
    maker = VAEGenerator if isinstance(network, LatentAutoencoder) else NetworkGenerator
    return maker(network, family_spec(network))


def write_family_bundle(folder: Path, kind: str, shape: Sequence[int] = SHAPE, **changes: Any) -> Path:
    """Writes the bundle of :func:`family_generator`; equal samples."""
    (folder / "configs").mkdir(parents=True)
    (folder / "models").mkdir()
    network = family_network(kind, shape, **changes)
    sha256 = save_weights(network.state_dict(), folder / "models" / "model.pt")
    config = {
        "format": "monai_genaug.generator/1",
        "spec": family_spec(network, name=folder.name, sha256=sha256).to_dict(),
        "network": {
            "_target_": f"monai_genaug.networks.{FAMILIES[kind][0].__name__}",
            **family_arguments(kind, shape, **changes),
        },
        "weights": "models/model.pt",
    }
    (folder / "configs" / "generator.json").write_text(json.dumps(config, indent=2))
    return folder


def pictures(count: int, shape: Sequence[int] = SHAPE, channels: int = 1, seed: int = 0) -> Tensor:
    """Noisy images: dark ones at even places, bright ones at odd places."""
    noise = torch.rand(count, channels, *shape, generator=torch.Generator().manual_seed(seed))
    bright = (torch.arange(count) % 2).view(-1, *[1] * (len(shape) + 1))
    return 0.1 + 0.5 * bright + 0.3 * noise


def _settle(network: nn.Module) -> None:
    """Statistics of batch norms as after training, so that samples have contrast."""
    assert isinstance(network, LatentDecoder)
    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.momentum = 0.5
    count = 16
    classes = [i % 2 for i in range(count)] if network.n_classes else None
    with torch.no_grad():
        for first in range(0, 5 * count, count):
            z = standard_normal(range(first, first + count), network.latent_dim).float()
            network(network.with_class(z, None if classes is None else torch.tensor(classes)))
