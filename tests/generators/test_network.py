# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Networks without encoder as generators, with classes and without."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor

from monai_genaug.generators import GeneratorSpec, LatentGenerator, NetworkGenerator, OutputSpec, VAEGenerator
from monai_genaug.generators.encoder_input import encoder_input
from monai_genaug.networks import VAE, DCGANGenerator
from tests.toy import toy_network, toy_spec
from tests.toy_families import family_generator, family_network, family_spec, pictures

SEEDS = list(range(9))


def labels(generator: NetworkGenerator) -> list[int] | None:
    return [seed % 2 for seed in SEEDS] if generator.spec.classes else None


@pytest.mark.parametrize("kind", ["gan", "conditional_gan", "conditional_vae"])
def test_sample_decodes_its_codes(kind: str) -> None:
    generator = family_generator(kind)
    codes = generator.codes(SEEDS, labels(generator), 0.7)
    assert codes.shape == (9, generator.network.code_dim)
    assert codes.dtype == torch.float32
    alone = [
        generator.codes([s], None if k is None else k, 0.7)
        for s, k in zip(SEEDS, labels(generator) or [None] * 9, strict=True)
    ]
    assert torch.equal(torch.cat(alone), codes)
    with torch.no_grad():
        expected = generator.network(codes)
    image = generator.sample(SEEDS, labels(generator), 0.7)["image"]
    torch.testing.assert_close(image, expected, rtol=0, atol=1e-6)
    if generator.spec.classes:
        assert torch.equal(codes[:, -2:], torch.eye(2)[[seed % 2 for seed in SEEDS]])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (([-1], 0), "seed -1"),
        (([1], None), r"needs class_label, one of 0 \('a'\), 1 \('b'\)"),
        (([1], 2), "class 2 is unknown"),
        (([1], 0, 0.0), "truncation is 0.0"),
    ],
)
def test_codes_refuse_what_sample_refuses(arguments: tuple[Any, ...], words: str) -> None:
    generator = family_generator("conditional_gan")
    for call in (generator.codes, generator.sample):
        with pytest.raises(ValueError, match=words):
            call(*arguments)


def test_a_gan_has_no_encoder() -> None:
    generator = family_generator("gan")
    assert not isinstance(generator, LatentGenerator)
    network = family_network("gan")
    with pytest.raises(ValueError, match="DCGANGenerator has no encoder: use NetworkGenerator"):
        VAEGenerator(network, family_spec(network))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"encodes: spec \('image',\), allowed \[\(\)\]"):
        NetworkGenerator(network, family_spec(network, encodes=("image",)))
    with pytest.raises(ValueError, match="has no encoder"):
        encoder_input({"image": pictures(1)}, generator.spec)


def test_samples_fill_the_value_range_of_the_spec() -> None:
    network = family_network("conditional_gan", image_channels=3)
    wide = {"image": OutputSpec("image", 3, (-1.0, 3.0), "float32")}
    images = [
        NetworkGenerator(network, family_spec(network, **changes)).sample(SEEDS, 1)["image"]
        for changes in ({}, {"outputs": wide})
    ]
    torch.testing.assert_close((images[1] + 1.0) / 4.0, images[0], rtol=0, atol=1e-6)
    assert images[0].shape == (9, 3, 8, 8)


def test_training_the_network_further_changes_no_sample() -> None:
    network = family_network("gan").train()
    generator = NetworkGenerator(network, family_spec(network))
    before = generator.sample([1])["image"]
    network(torch.rand(16, network.code_dim))  # moves the statistics of batch norms
    with torch.no_grad():
        network.to_image.weight.mul_(2.0)
    assert torch.equal(generator.sample([1])["image"], before)
    assert network.training
    assert all(parameter.requires_grad for parameter in network.parameters())


@pytest.mark.parametrize(
    ("kind", "changes", "words"),
    [
        ("conditional_gan", {"classes": None}, r"numbers of the classes: spec \[\], network \[0, 1\]"),
        ("conditional_gan", {"classes": {1: "a", 2: "b"}}, r"numbers of the classes: spec \[1, 2\]"),
        ("gan", {"classes": {0: "a", 1: "b"}}, r"network \[\]"),
        ("gan", {"truncation": False}, "truncation: spec False, network True"),
        ("gan", {"spatial_shape": (8, 9)}, "spatial_shape"),
        ("gan", {"outputs": {"image": OutputSpec("image", 2, (0, 1), "float32")}}, "image channels: spec 2, network 1"),
        (
            "conditional_vae",
            {"outputs": {"mask": OutputSpec("mask", 1, (0, 1), "uint8", ("no", "yes"))}, "encodes": ()},
            "outputs .one image",
        ),
    ],
)
def test_a_spec_that_does_not_fit_names_what_differs(kind: str, changes: dict[str, Any], words: str) -> None:
    network = family_network(kind)
    before = copy.deepcopy(network.state_dict())
    with pytest.raises(ValueError, match=words):
        NetworkGenerator(network, family_spec(network, **changes))
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


def test_an_empty_hash_becomes_that_of_the_weights() -> None:
    hashes = [
        NetworkGenerator(n, family_spec(n)).spec.sha256 for n in (family_network("gan", seed=s) for s in (0, 0, 1))
    ]
    assert hashes[0] == hashes[1] != hashes[2]
    network = DCGANGenerator(2, (8, 8), latent_dim=2, channels=(4,))
    assert NetworkGenerator(network, family_spec(network, sha256="ab")).spec.sha256 == "ab"


def test_levels_round_images() -> None:
    network, spec = toy_network(mask=False), toy_spec(mask=False)
    smooth = NetworkGenerator(network, spec.replace(encodes=())).sample(range(3))["image"]
    output = OutputSpec("image", 1, (-1.0, 1.0), "float32", levels=3)
    stepped = NetworkGenerator(network, spec.replace(encodes=(), outputs={"image": output})).sample(range(3))["image"]
    assert set(stepped.unique().tolist()) == {-1.0, 0.0, 1.0}
    torch.testing.assert_close(stepped, (smooth * 2.0).round() - 1.0)


class CountingVAE(VAE):
    """Remembers how many codes came at once."""

    counts: list[int]

    def forward(self, code: Tensor) -> Tensor:
        self.counts.append(len(code))
        return super().forward(code)


def test_few_large_volumes_are_made_at_once_on_a_cpu() -> None:
    network = CountingVAE(3, (64, 64, 80), latent_dim=2, channels=(2, 2, 2))
    network.counts = []
    image = OutputSpec("image", 1, (0.0, 1.0), "float32")
    generator = VAEGenerator(network, GeneratorSpec("volumes", {"image": image}, (64, 64, 80), truncation=True))
    network = generator.network
    assert isinstance(network, CountingVAE)
    made = generator.sample(SEEDS[:5])["image"]
    assert network.counts == [2, 2, 1]
    with torch.no_grad():
        expected = network(generator.codes(SEEDS[:5]))
    torch.testing.assert_close(made, expected, rtol=0, atol=1e-5)
