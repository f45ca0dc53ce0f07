# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from monai_genaug.generators import (
    ModuleGenerator,
    NetworkGenerator,
    SampleGenerator,
    VAEGenerator,
    export_network,
    image_spec,
    load_generator,
)
from monai_genaug.latent import GaussianMixtureLatent
from monai_genaug.latent.draws import standard_normal
from monai_genaug.networks import VAE, DCGANGenerator
from monai_genaug.weights import file_sha256
from tests.generators.test_contract import _fitted_rhvae
from tests.toy import toy_generator, toy_network, toy_spec
from tests.toy_decoders import module_generator
from tests.toy_families import family_generator

SHAPE = (8, 8)
SEEDS = [0, 5, 2**63 - 1, 17, 4]
formats = pytest.mark.parametrize("name", ["model.ts", "model.pt", "model.pt2"])


def mixture_generator() -> VAEGenerator:
    network = VAE(2, SHAPE, 1, 0, latent_dim=4, channels=(4, 8), latent="gaussian_mixture")
    assert isinstance(network.latent, GaussianMixtureLatent)
    network.latent.fit(standard_normal(range(60), 4).float())
    network.spectral_gain.gain.fill_(1.7)
    return VAEGenerator(network, toy_spec(SHAPE, mask=False, name="mixture"))


GENERATORS: dict[str, Any] = {
    "pair": lambda: toy_generator(SHAPE),
    "riemannian": lambda: VAEGenerator(_fitted_rhvae(), toy_spec((8, 8, 8), name="toy_rhvae", truncation=False)),
    "mixture": mixture_generator,
    "conditional_vae": lambda: family_generator("conditional_vae"),
    "joint_vae": lambda: family_generator("joint_vae"),
    "conditional_gan": lambda: family_generator("conditional_gan"),
    "module": lambda: module_generator(SHAPE),
}


def labels_for(generator: SampleGenerator) -> list[int] | None:
    return None if generator.spec.classes is None else [seed % 2 for seed in SEEDS]


@pytest.mark.parametrize(
    ("kind", "name"),
    [("pair", "model.pt"), *((kind, name) for kind in GENERATORS for name in ("model.ts", "model.pt2"))],
)
def test_files_make_the_samples_of_the_generator(kind: str, name: str, tmp_path: Path) -> None:
    generator = GENERATORS[kind]()
    path = export_network(generator, tmp_path / name)
    assert path == tmp_path / name
    again = load_generator(str(path), trust=True)
    assert again.spec == generator.spec.replace(sha256=file_sha256(path), encodes=())
    expected, found = (one.sample(SEEDS, labels_for(generator)) for one in (generator, again))
    assert list(expected) == list(found)
    assert (expected["image"] - found["image"]).abs().max() <= 1e-4
    if "mask" in expected:
        assert (expected["mask"] != found["mask"]).float().mean() < 1e-3
    assert sorted(file.name for file in tmp_path.iterdir()) == [name, f"{name}.json"]


@pytest.mark.parametrize("name", ["model.ts", "model.pt2"])
def test_neither_encoder_nor_latent_are_in_the_program(name: str, tmp_path: Path) -> None:
    generator = VAEGenerator(toy_network((16, 16)), toy_spec((16, 16)))
    kept = dict(load_generator(export_network(generator, tmp_path / name), trust=True).decoder.named_parameters())  # type: ignore[attr-defined]
    assert kept
    assert not [part for part in kept if "encoder" in part or "latent" in part or "posterior" in part]


@formats
def test_an_exported_file_can_be_exported_again(name: str, tmp_path: Path) -> None:
    first = load_generator(export_network(module_generator(SHAPE), tmp_path / name), trust=True)
    again = load_generator(export_network(first, tmp_path / f"again_{name}"), trust=True)
    expected, found = (one.sample(SEEDS, "a")["image"] for one in (first, again))
    assert torch.allclose(expected, found, atol=1e-6)


def test_dictionaries_and_single_codes(tmp_path: Path) -> None:
    class Pair(nn.Module):
        def forward(self, z: Tensor) -> dict[str, Tensor]:
            scaled = (z - z.mean()) / z.std()  # of the whole batch
            return {"image": scaled[:, :1].sigmoid(), "mask": scaled}

    spec = image_spec("pair", SHAPE, mask_classes=("background", "organ", "lesion"), reproducible_batches=False)
    generator = ModuleGenerator(Pair(), (3, 8, 8), spec)
    for name in ("model.ts", "model.pt2"):
        again = load_generator(export_network(generator, tmp_path / name), trust=True)
        expected, found = generator.sample(SEEDS), again.sample(SEEDS)
        assert torch.allclose(expected["image"], found["image"], atol=1e-6)
        assert torch.equal(expected["mask"], found["mask"])


class ByValue(nn.Module):
    """Takes another path for codes that begin with a positive number, one by one."""

    def forward(self, z: Tensor) -> Tensor:
        rows = [row.sigmoid() if row[0] > 0 else (-row).sigmoid() for row in z]
        return torch.stack(rows).view(-1, 1, 8, 8)


def test_decoders_whose_steps_depend_on_values_are_refused(tmp_path: Path) -> None:
    generator = ModuleGenerator(ByValue(), 64, image_spec("by_value", SHAPE))
    for name in ("model.ts", "model.pt2"):
        with pytest.raises(ValueError, match=r"depend|cannot be written as torch_export"):
            export_network(generator, tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="has a PerClassVAE"):
        export_network(family_generator("per_class_vae"), tmp_path / "model.ts")
    with pytest.raises(ValueError, match="is a ToyConditionalGenerator, allowed: NetworkGenerator"):
        export_network(toy_generator(SHAPE, classes=("a", "b")), tmp_path / "model.ts")
    with pytest.raises(ValueError, match=r"model.onnx ends in '.onnx', allowed: .ts, .pt, .pt2"):
        export_network(toy_generator(SHAPE), tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


def test_the_generator_stays_what_it_was(tmp_path: Path) -> None:
    network = DCGANGenerator(2, SHAPE, latent_dim=4, channels=(8, 4))
    generator = NetworkGenerator(network, toy_spec(SHAPE, mask=False, encodes=()))
    before, state = generator.sample([1])["image"], torch.get_rng_state()
    export_network(generator, tmp_path / "model.ts")
    assert torch.equal(generator.sample([1])["image"], before)
    assert torch.equal(torch.get_rng_state(), state)
    content = json.loads((tmp_path / "model.ts.json").read_text())
    assert content["inputs"]["latent"]["kind"] == "NormalLatent"
