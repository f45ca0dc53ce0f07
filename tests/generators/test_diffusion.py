# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""MONAI's diffusion networks of one's own as generators."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from monai.inferers import DiffusionInferer
from monai.networks.nets import AutoencoderKL, DiffusionModelUNet
from monai.networks.schedulers import DDIMScheduler, RFlowScheduler
from torch import nn

from monai_genaug.generators import (
    DiffusionGenerator,
    GeneratorSpec,
    NetworkGenerator,
    OutputSpec,
    build_pool,
    load_generator,
)
from monai_genaug.latent.draws import standard_normal
from tests.toy_families import family_generator, family_network, family_spec, write_family_bundle

SHAPE = (8, 8)


def unet_of(channels: int = 1, **changes: Any) -> DiffusionModelUNet:
    arguments = {"channels": (8,), "num_res_blocks": 1, "attention_levels": (False,), "norm_num_groups": 4, **changes}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        unet = DiffusionModelUNet(2, channels, channels, **arguments)
        for parameter in unet.parameters():
            if parameter.ndim > 1:
                nn.init.normal_(parameter, 0.0, 0.1)
    return unet.eval()


def spec_of(**changes: Any) -> GeneratorSpec:
    image = OutputSpec("image", 1, (0.0, 1.0), "float32")
    return GeneratorSpec(name="mine", outputs={"image": image}, spatial_shape=SHAPE).replace(**changes)


@pytest.mark.parametrize("name", ["ddim", "rflow"])
def test_a_users_network_makes_the_samples_of_monais_loop(name: str) -> None:
    unet = unet_of()
    generator = DiffusionGenerator(unet, spec_of(), name, num_inference_steps=5, image_range=(0.0, 1.0))
    scheduler = DDIMScheduler(1000) if name == "ddim" else RFlowScheduler(1000)
    scheduler.set_timesteps(5)
    noise = standard_normal([3, 8], 64).float().view(2, 1, *SHAPE)
    expected = DiffusionInferer(scheduler).sample(noise, unet, scheduler, verbose=False).clamp(0, 1)
    torch.testing.assert_close(generator.sample([3, 8])["image"], expected, rtol=0, atol=1e-4)


def test_training_the_network_further_changes_no_sample() -> None:
    unet = unet_of()
    generator = DiffusionGenerator(unet, spec_of(), "rflow", 2)
    before = generator.sample([1])["image"]
    nn.init.zeros_(unet.conv_in.conv.weight)
    assert torch.equal(generator.sample([1])["image"], before)
    assert len(generator.spec.sha256) == 64


def test_classes_are_guided() -> None:
    spec = spec_of(classes={0: "a", 1: "b"})
    samples = [
        DiffusionGenerator(unet_of(num_class_embeds=3), spec, "rflow", 4, guidance=guidance).sample([1], "b")["image"]
        for guidance in (0.0, 1.0, 3.0)
    ]
    none, plain, strong = samples
    assert (plain - none).abs().max() > 1e-3
    assert (strong - plain).abs().max() > 1e-3
    other = DiffusionGenerator(unet_of(num_class_embeds=3), spec, "rflow", 4, guidance=0.0).sample([1], "a")["image"]
    torch.testing.assert_close(other, none)  # without guidance by the class, both are samples of no class


def test_masks_of_a_latent_diffusion_model_reach_a_pool(tmp_path: Path) -> None:
    stages: dict[str, Any] = {"channels": (4, 8), "num_res_blocks": 1, "attention_levels": (False, False)}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        autoencoder = AutoencoderKL(2, 3, 3, latent_channels=2, norm_num_groups=4, **stages)
    outputs = {
        "image": OutputSpec("image", 1, (0.0, 1.0), "float32"),
        "mask": OutputSpec("mask", 1, (0.0, 1.0), "uint8", ("background", "lung")),
    }
    generator = DiffusionGenerator(
        unet_of(2),
        spec_of(outputs=outputs),
        "ddim",
        3,
        autoencoder=autoencoder,
        noise_shape=(2, 4, 4),
        scale_factor=0.7,
    )
    samples = generator.sample(range(4))
    assert samples["image"].shape == samples["mask"].shape == (4, 1, *SHAPE)
    assert set(samples["mask"].unique().tolist()) <= {0, 1}
    pool = build_pool(generator, 4, tmp_path / "pool", progress=False)
    assert pool[0]["image"].shape == (1, *SHAPE)


def test_a_bundle_is_loaded_as_one(tmp_path: Path) -> None:
    generator = load_generator(write_family_bundle(tmp_path / "toy", "conditional_diffusion"))
    assert isinstance(generator, DiffusionGenerator)
    expected = family_generator("conditional_diffusion").sample(range(3), [0, 1, 0])["image"]
    torch.testing.assert_close(generator.sample(range(3), [0, 1, 0])["image"], expected)
    again = pickle.loads(pickle.dumps(generator))
    assert isinstance(again, DiffusionGenerator)
    torch.testing.assert_close(again.sample([2], "a")["image"], expected[2:])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"scheduler": "pndm"}, "scheduler is 'pndm', allowed"),
        ({"spec": spec_of(truncation=True)}, "truncation: spec True, network False"),
        ({"spec": spec_of(classes={0: "a", 1: "b"})}, "n_classes is 2, but the model knows 0"),
        ({"guidance": 2.0}, "guidance is 2.0, allowed: 1"),
        ({"num_inference_steps": 0}, "num_inference_steps is 0"),
        ({"autoencoder": nn.Identity()}, "noise_shape is missing"),
    ],
)
def test_what_is_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        DiffusionGenerator(**{"unet": unet_of(), "spec": spec_of(), **changes})


def test_truncation_is_refused() -> None:
    network = family_network("diffusion")
    generator = NetworkGenerator(network, family_spec(network))
    with pytest.raises(ValueError, match="has no truncation"):
        generator.sample([1], truncation=0.5)
    with pytest.raises(ValueError, match="has no truncation"):
        network.draw_latent([1], truncation=0.5)
