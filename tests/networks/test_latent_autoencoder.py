# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""What encoders read: the class travels with the image as constant planes."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from monai_genaug.networks import VAE, ConditionalVAE
from tests.toy_families import family_network, pictures

ENCODING = ["conditional_vae", "joint_vae", "per_class_vae"]


def conditional(mask_classes: int = 0) -> ConditionalVAE:
    return ConditionalVAE(2, (4, 6), 3, mask_classes=mask_classes, latent_dim=2, channels=(4,))


@pytest.mark.parametrize("mask_classes", [0, 2])
def test_join_appends_one_constant_plane_per_class(mask_classes: int) -> None:
    network = conditional(mask_classes)
    image, mask = torch.rand(2, 1, 4, 6, dtype=torch.float64), torch.ones(2, 1, 4, 6) if mask_classes else None
    x = network.join(image, mask, torch.tensor([2, 0]))
    assert x.shape == (2, 1 + mask_classes + 3, 4, 6)
    assert x.dtype == torch.float32
    planes = torch.tensor([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]])[:, :, None, None].expand(-1, -1, 4, 6)
    assert torch.equal(x[:, -3:], planes)
    assert torch.equal(x[:, :1], image.float())
    assert torch.equal(network.with_class_planes(x[:, :-3], torch.tensor([2, 0])), x)


def test_planes_in_3d() -> None:
    network = family_network("conditional_vae", (8, 10, 9))
    x = network.with_class_planes(torch.rand(2, 1, 8, 10, 9), torch.tensor([1, 0]))
    assert x.shape == (2, 3, 8, 10, 9)
    assert torch.equal(x[:, 1:].flatten(2).mean(dim=2), torch.tensor([[0.0, 1.0], [1.0, 0.0]]))


@pytest.mark.parametrize(
    ("classes", "words"),
    [
        (None, "n_classes is 3, the classes are missing"),
        ([0, 3], "classes lie from 0 to 3, allowed: 0 to 2"),
        ([0, -1], "classes lie from -1 to 0"),
        ([0], r"classes are \(1,\), needed: \(2,\)"),
    ],
)
@pytest.mark.parametrize("through", ["join", "with_class_planes"])
def test_classes_that_do_not_fit(classes: Any, words: str, through: str) -> None:
    network, image = conditional(), torch.rand(2, 1, 4, 6)
    labels = None if classes is None else torch.tensor(classes)
    with pytest.raises(ValueError, match=words):
        network.join(image, None, labels) if through == "join" else network.with_class_planes(image, labels)


def test_an_unconditional_network_takes_no_classes() -> None:
    network, image = VAE(2, (4, 6), latent_dim=2, channels=(4,), stack="batch_norm"), torch.rand(2, 1, 4, 6)
    assert network.with_class_planes(image) is image
    with pytest.raises(ValueError, match="n_classes is 0, the classes are given"):
        network.join(image, None, torch.tensor([0, 0]))


@pytest.mark.parametrize("kind", ENCODING)
def test_codes_hold_the_class_and_draws_follow_the_noise(kind: str) -> None:
    network = family_network(kind).eval()
    classes = torch.tensor([0, 1, 1, 0]) if network.n_classes else None
    x = network.join(pictures(4), None, classes)
    z = network.encode(x)
    assert z.shape == (4, network.latent_dim)
    code = network.code_of(x)
    assert torch.equal(code[:, : network.latent_dim], z)
    assert torch.equal(code, network.with_class(z, classes))
    noise = torch.randn(4, network.noise_dim, generator=torch.Generator().manual_seed(0))
    drawn = network.encode(x, noise)
    assert drawn.shape == z.shape
    assert torch.equal(drawn, network.encode(x, noise))
    assert (drawn - z).abs().amax(dim=1).min() > 1e-3


@pytest.mark.parametrize("kind", ENCODING)
def test_decoded_mean_is_the_decoder_without_the_filter(kind: str) -> None:
    network = family_network(kind).eval()
    classes = torch.tensor([0, 1, 1, 0] * 3) if network.n_classes else None
    x = network.join(pictures(12), None, classes)
    code = network.code_of(x)
    before = network.decoded_mean(code)
    assert torch.equal(network(code), before)
    network.fit_generation([x[:6], x[6:]], [])
    assert torch.equal(network.decoded_mean(code), before)
    assert not torch.equal(network(code), before)


@pytest.mark.parametrize("kind", ENCODING)
def test_padded_pixels_leave_the_bound(kind: str) -> None:
    network = family_network(kind).eval()
    classes = torch.tensor([0, 1]) if network.n_classes else None
    x = network.join(pictures(2), None, classes)
    terms = network.elbo(x, torch.zeros(2, 1, 8, 8), torch.Generator().manual_seed(0))
    assert float(terms["image"].detach()) == 0.0
    measured = network.elbo(x, torch.ones(2, 1, 8, 8), torch.Generator().manual_seed(0))
    assert float(measured["image"].detach()) != 0.0
