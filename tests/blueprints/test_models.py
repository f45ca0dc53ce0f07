# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
import torch

from monai_genaug import networks
from monai_genaug.blueprints.models import MODELS, check_size, model_named


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("shape", [(16, 16), (16, 16, 16)])
def test_every_model_makes_images(name: str, shape: tuple[int, ...]) -> None:
    model = MODELS[name]
    classes = 0 if model.conditional is False else 3
    check_size(model, shape)
    network = getattr(networks, model.network)(**model.network_args(shape, 3, classes)).eval()
    assert network.n_classes == classes
    with torch.no_grad():
        assert network(torch.zeros(2, network.code_dim)).shape == (2, 3, *shape)
    if model.method == "gan":
        critic = networks.DCGANDiscriminator(**model.training(shape, 3, classes)["discriminator_args"])
        assert critic(torch.zeros(2, 3, *shape), torch.eye(3)[:2])[0].shape == (2,)


def test_unknown_model() -> None:
    with pytest.raises(ValueError, match=r"model is 'gan', allowed: .*'conditional_vae'.*'sngan'"):
        model_named("gan")


@pytest.mark.parametrize(
    ("name", "shape", "allowed"),
    [
        ("rhvae", (20, 20), "multiples of 8 from 8"),
        ("rhvae", (24, 24, 24), "multiples of 16 from 16"),
        ("vae", (20, 20, 20), "multiples of 8 from 8"),
        ("conditional_vae", (7, 7), "whole numbers from 8"),
        ("diffusion", (20, 20), "multiples of 8 from 8"),
        ("diffusion", (20, 20, 20), "multiples of 8 from 8"),
        ("sngan", (0, 0, 0), "whole numbers from 8"),
    ],
)
def test_sizes_that_cannot_be_made(name: str, shape: tuple[int, ...], allowed: str) -> None:
    with pytest.raises(ValueError, match=rf"size is {shape[0]}, allowed for \w+ in {len(shape)}D: {allowed}\."):
        check_size(MODELS[name], shape)
