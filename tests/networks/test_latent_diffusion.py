# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import pytest
import torch
from monai.inferers import LatentDiffusionInferer
from monai.networks.nets import AutoencoderKL, DiffusionModelUNet

from monai_genaug.networks import LatentDiffusion, UNetDiffusion
from tests.networks.test_diffusion_decoder import code_of, filled

SMALL: dict[str, Any] = {"norm_num_groups": 4, "num_head_channels": 4, "num_inference_steps": 3, "latent_channels": 3}


def network_of(shape: tuple[int, ...] = (16, 16), **changes: Any) -> LatentDiffusion:
    widths = {"autoencoder_channels": [4, 8], "channels": [8, 8]}
    return filled(LatentDiffusion(len(shape), shape, **{**SMALL, **widths, **changes}))


@pytest.mark.parametrize("shape", [(16, 24), (16, 8, 24)])
def test_codes_are_smaller_than_samples(shape: tuple[int, ...]) -> None:
    network = network_of(shape, image_channels=2, mask_classes=3, n_classes=2)
    assert isinstance(network.first_stage, AutoencoderKL)
    assert isinstance(network.unet, DiffusionModelUNet)
    assert network.noise_shape == (3, *(size // 2 for size in shape))
    image, mask = torch.rand(2, 2, *shape), torch.randint(0, 3, (2, 1, *shape))
    assert network.model_space(image, mask).shape == (2, *network.noise_shape)
    code = network.with_class(network.draw_latent([1, 2]), torch.tensor([0, 1]))
    with torch.no_grad():
        assert network(code).shape == network.reconstruct(image, mask).shape == (2, 5, *shape)


@pytest.mark.parametrize("kind", ["ddim", "rflow"])
def test_samples_are_those_of_monais_inferer(kind: str) -> None:
    network, code = network_of(scheduler=kind), code_of(2, 3 * 8 * 8)
    network.scale_factor.fill_(2.5)
    process = network.process
    expected = LatentDiffusionInferer(process.scheduler, scale_factor=2.5).sample(
        code.view(2, *network.noise_shape), network.first_stage, network.unet, process.scheduler, verbose=False
    )
    with torch.no_grad():
        torch.testing.assert_close(network(code), ((expected + 1) / 2).clamp(0, 1), rtol=0, atol=1e-5)
    assert expected.std() > 0.1


@pytest.mark.parametrize("kind", ["ddpm", "ddim"])
def test_codes_are_not_cut_as_pixels_are(kind: str) -> None:
    scheduler = network_of(scheduler=kind).process.scheduler
    assert not scheduler.clip_sample
    assert UNetDiffusion(2, (8, 8), channels=(32,), scheduler=kind).process.scheduler.clip_sample


def test_a_reconstruction_is_monais() -> None:
    network, image = network_of(), torch.rand(2, 1, 16, 16)
    network.scale_factor.fill_(3.0)
    with torch.no_grad():
        expected = network.first_stage.reconstruct(2 * image - 1)
        torch.testing.assert_close(network.reconstruct(image), ((expected + 1) / 2).clamp(0, 1))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"shape": (16, 18)}, r"spatial_shape is \(16, 18\), allowed: multiples of 4"),
        ({"channels": []}, r"channels are \(\), allowed: multiples of norm_num_groups=4"),
        ({"autoencoder_channels": [4, 6]}, r"autoencoder_channels are \(4, 6\), allowed: multiples"),
        ({"latent_channels": 0}, "latent_channels is 0, allowed: 1 and more"),
        ({"scheduler": "sde"}, "scheduler is 'sde'"),
    ],
)
def test_what_is_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        network_of(**changes)
    with pytest.raises(ValueError, match="spatial_dims=3"):
        LatentDiffusion(3, (8, 8))
    with pytest.raises(ValueError, match="no autoencoder"):
        UNetDiffusion(2, (8, 8), channels=(32,), patch_size=2).reconstruct(torch.rand(1, 1, 8, 8))
