# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from monai_genaug import GeneratorSpec, OutputSpec
from monai_genaug.generators import NetworkGenerator
from monai_genaug.generators.channels_last import lay_channels_last
from monai_genaug.networks import DCGANGenerator
from monai_genaug.weights import state_sha256
from tests.toy import toy_generator
from tests.toy_families import family_generator

LAYOUTS = {2: torch.channels_last, 3: torch.channels_last_3d}


def convolutions(network: nn.Module) -> list[nn.Parameter]:
    """Weights whose layouts differ in memory: some channels, and a kernel."""
    return [weight for weight in network.parameters() if weight.ndim >= 4 and weight[0].numel() > len(weight[0]) > 1]


@pytest.mark.parametrize("dims", [2, 3])
def test_the_layout_changes_no_value(dims: int) -> None:
    network = DCGANGenerator(dims, (8,) * dims, 3, latent_dim=4, channels=(8, 4)).eval().requires_grad_(False)
    laid = copy.deepcopy(network)
    lay_channels_last(laid)
    assert len(convolutions(laid)) == 3
    assert all(weight.is_contiguous(memory_format=LAYOUTS[dims]) for weight in convolutions(laid))
    assert state_sha256(laid.state_dict()) == state_sha256(network.state_dict())
    codes = torch.randn(5, 4)
    torch.testing.assert_close(laid(codes), network(codes), rtol=1e-4, atol=1e-5)


def test_samples_of_many_channels_have_the_usual_layout() -> None:
    network = DCGANGenerator(2, (8, 8), 3, latent_dim=4, channels=(8, 4)).eval()
    generator = NetworkGenerator(
        network, GeneratorSpec("made", {"image": OutputSpec("image", 3, (0, 1), "float32")}, (8, 8), truncation=True)
    )
    assert convolutions(generator.network)[0].is_contiguous(memory_format=torch.channels_last)
    assert all(weight.is_contiguous() for weight in network.parameters())  # the generator has its own
    for seeds in (range(1), range(3)):
        image = generator.sample(seeds)["image"]
        assert image.is_contiguous()
        torch.testing.assert_close(image, network(generator.codes(seeds)), rtol=1e-4, atol=1e-5)


def test_diffusion_models_keep_theirs() -> None:
    network = family_generator("diffusion", (8, 8), patch_size=2).network
    assert all(weight.is_contiguous() for weight in network.parameters())


def test_encoders_have_it_too() -> None:
    weights = convolutions(toy_generator((8, 8, 8)).network.encoder)
    assert weights
    assert all(weight.is_contiguous(memory_format=torch.channels_last_3d) for weight in weights)
