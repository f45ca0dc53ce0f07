# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Ways to write a bundle: each is recognised, and samples through the contract."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from monai.networks.nets import Generator as MonaiGenerator

from monai_genaug.generators import MonaiBundleGenerator
from tests.generators.zoo_bundles import (
    GAN_SCRIPT,
    LDM_SCRIPT,
    Config,
    ddpm_config,
    gan_config,
    ldm_config,
    metadata,
    script_gan_config,
    write_zoo_bundle,
)

LDM_NETWORKS = {"autoencoder_def": "model_autoencoder.pt", "network_def": "model.pt"}
INFERER = {"_target_": "LatentDiffusionInferer", "scheduler": "@noise_scheduler", "scale_factor": 1.0}
SAMPLED = (
    "$@inferer.sample(input_noise=@noise, autoencoder_model=@autoencoder, diffusion_model=@diffusion, "
    "scheduler=@noise_scheduler)"
)
DATASET = """
import torch


class LatentDataset(torch.utils.data.Dataset):
    def __init__(self, num_samples, latent_size):
        {source}
        self.z = torch.randn(num_samples, latent_size, generator=source)

    def __len__(self):
        return len(self.z)

    def __getitem__(self, i):
        return {{"latent": self.z[i]}}
"""
BUILD = """
from monai.networks.nets import Generator


def make(latent_size):
    return Generator(latent_size, (8, 4, 4), (8, 1), (2, 1))
"""


def gan(drop: tuple[str, ...] = (), **changes: Any) -> Config:
    """A GAN; a change to None drops the item."""
    config = {**gan_config(), **changes}
    return {key: value for key, value in config.items() if value is not None and key not in drop}


def bare_gan(**changes: Any) -> Config:
    """A GAN without data set, evaluator and postprocessing."""
    rest = ("dataset", "dataloader", "postprocessing", "evaluator", "inferring", "initialize", "inferer", "handlers")
    return gan(rest, load="$@network.load_state_dict(torch.load('./models/model.pt'))", **changes)


def script_dataset(source: str) -> tuple[Config, dict[str, str]]:
    dataset = {"_target_": "scripts.data.LatentDataset", "num_samples": 64, "latent_size": "@latent_size"}
    config = gan(("evaluator",), dataset=dataset)
    return config, {"data": DATASET.format(source=source)}


def ldm(drop: tuple[str, ...] = (), **changes: Any) -> Config:
    """Latent diffusion with MONAI's inferer and no item that is the sample."""
    gone = {"sample", "generated_image", "run", *drop}
    config = {key: value for key, value in ldm_config().items() if key not in gone}
    return {**config, "inferer": INFERER, **changes}


def without_requirements(config: Config) -> Config:
    """The config whose scheduler does not need the weights to be loaded before."""
    scheduler = {key: value for key, value in config["noise_scheduler"].items() if key != "_requires_"}
    loads = ("load_autoencoder", "load_diffusion")
    return {**{key: value for key, value in config.items() if key not in loads}, "noise_scheduler": scheduler}


def latents_on_a_grid() -> Config:
    config = without_requirements(ldm(("noise",)))
    config["dataset"] = {"_target_": "Dataset", "data": "$[{'image': torch.randn(@latent_shape)} for _ in range(4)]"}
    return config


def handler(path: str, network: str) -> Config:
    return {"_target_": "CheckpointLoader", "load_path": path, "load_dict": {"model": network}}


INFERRING = """
class LatentInferer:
    def __call__(self, inputs, network):
        return network(inputs)
"""
GANS: dict[str, Callable[[], Any]] = {
    "noise of several samples": lambda: bare_gan(noise="$torch.randn(@num_samples, @latent_size)"),
    "transform of arrays": lambda: bare_gan(
        noise="$torch.randn(1, @latent_size)",
        postprocessing={
            "_target_": "Compose",
            "transforms": [
                {"_target_": "Activations", "sigmoid": True},
                {"_target_": "SaveImage", "output_dir": "out"},
            ],
        },
    ),
    "data set in scripts with a seed": lambda: script_dataset("source = torch.Generator().manual_seed(0)"),
    "data set in scripts without a seed": lambda: script_dataset("source = None"),
    "latent described by the metadata": lambda: bare_gan(
        latent_size=None, network_def={**gan_config()["network_def"], "latent_shape": 6}
    ),
    "size alone": lambda: bare_gan(),
    "noise inside the expression": lambda: bare_gan(sample="$@network(torch.randn(1, @latent_size)).sigmoid()"),
    "noise with another name": lambda: bare_gan(sample="$@network(@z).sigmoid()", z="$torch.randn(4, @latent_size)"),
    "noise of numpy": lambda: bare_gan(
        sample="$@network(@latents)", latents="$torch.from_numpy(np.random.randn(1, @latent_size)).float()"
    ),
    "noise with a scale": lambda: bare_gan(sample="$@network(@z)", z="$0.5 * torch.randn(1, @latent_size)"),
    "noise by a component": lambda: bare_gan(
        generated_images="$@network(@noise)", noise={"_target_": "torch.randn", "size": [1, "@latent_size"]}
    ),
    "function of a number": lambda: bare_gan(sample="$lambda n: @network(torch.randn(n, @latent_size)).sigmoid()"),
    "function of noise": lambda: bare_gan(
        sample_fn="$lambda noise: @network(noise)", noise="$torch.randn(1, @latent_size)"
    ),
    "inferer in scripts": lambda: (
        {**script_gan_config(), "inferer": {"_target_": "scripts.inferring.LatentInferer"}},
        {
            "nets": GAN_SCRIPT.format(who="x"),
            "offset": "OFFSET = 0.0\n",
            "inferring": INFERRING,
        },
    ),
    "network by an expression": lambda: (
        gan(imports=["$from scripts.build import make"], network_def="$make(@latent_size)"),
        {"build": BUILD},
    ),
}
DIFFUSION: dict[str, Callable[[], Any]] = {
    "weights by handlers": lambda: {
        **without_requirements(ldm()),
        "handlers": [
            handler("@load_autoencoder_path", "@autoencoder"),
            handler("$@model_dir + '/model.pt'", "@diffusion"),
        ],
    },
    "weights by what fits": lambda: without_requirements(ldm()),
    "weights by initialize": lambda: {
        **without_requirements(ldm()),
        "initialize": [
            "$monai.utils.set_determinism(0)",
            "$@autoencoder.load_state_dict(torch.load(@load_autoencoder_path))",
            "$@diffusion.load_state_dict(torch.load(@load_diffusion_path))",
        ],
    },
    "latents by a data set": latents_on_a_grid,
    "rectified flow": lambda: ldm(
        noise_scheduler={
            "_target_": "monai.networks.schedulers.RFlowScheduler",
            "_requires_": ["@load_diffusion", "@load_autoencoder"],
        },
        sample=SAMPLED,
    ),
    "no axis of the batch": lambda: (
        {**ldm_config(), "sample": "$@inferer.sampling_fn(@noise, @autoencoder, @diffusion, @noise_scheduler)[0]"},
        {"ldm_sampler": LDM_SCRIPT},
    ),
    "noise without axis of the batch": lambda: (
        {
            **ldm_config(),
            "noise": "$torch.randn(@latent_shape)",
            "sample": "$@inferer.sampling_fn(@noise[None], @autoencoder, @diffusion, @noise_scheduler)",
        },
        {"ldm_sampler": LDM_SCRIPT},
    ),
    "old signs in references": lambda: (
        {**ldm_config(), "noise": "$torch.randn(1, @latent_shape#0, @latent_shape#1, @latent_shape#2)"},
        {"ldm_sampler": LDM_SCRIPT},
    ),
    "inference mode": lambda: (
        ldm_config(),
        {"ldm_sampler": LDM_SCRIPT.replace("@torch.no_grad()", "@torch.inference_mode()")},
    ),
    "imports between scripts, and a trainer that cannot be imported": lambda: (
        {**ldm_config(), "trainer": {"_target_": "scripts.trainer.Trainer"}},
        {
            "ldm_sampler": "from .names import SOME\n" + LDM_SCRIPT,
            "names": "SOME = 1\n",
            "trainer": "import not_installed_anywhere\n",
        },
    ),
    "no inferer, no latents": lambda: {
        key: value for key, value in ddpm_config().items() if key not in ("sample", "testing", "inferer")
    },
}
WAYS = {**GANS, **DIFFUSION}


def write(folder: Path, way: str) -> Path:
    made = WAYS[way]()
    config, scripts = made if isinstance(made, tuple) else (made, None)
    networks = {"network_def": "model.pt"}
    if "autoencoder_def" in config:
        networks = LDM_NETWORKS
    elif isinstance(config["network_def"], str):
        networks = {}
    meta = metadata()
    meta["network_data_format"]["outputs"]["pred"]["value_range"] = [-100, 100]  # nothing is clipped
    write_zoo_bundle(folder, config, networks, scripts, meta)
    if not networks:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            torch.save(MonaiGenerator(6, (8, 4, 4), (8, 1), (2, 1)).state_dict(), folder / "models" / "model.pt")
    return folder


@pytest.mark.parametrize("way", WAYS)
def test_samples_depend_on_their_seed_alone(way: str, tmp_path: Path) -> None:
    generator = MonaiBundleGenerator(write(tmp_path / "bundle", way), trust=True)
    state = torch.get_rng_state()
    made = generator.sample([1, 2, 5, 5 + 2**32])["image"]
    assert made.shape == (4, 1, 8, 8)
    assert torch.cdist(made.flatten(1), made.flatten(1)).fill_diagonal_(9).min() > 1e-2
    again = torch.cat([generator.sample([seed])["image"] for seed in (5 + 2**32, 5, 2, 1)]).flip(0)
    assert (made - again).abs().max() < 1e-4
    assert not made.is_inference()
    assert torch.equal(torch.get_rng_state(), state)


def test_the_scale_of_a_noise_is_kept(tmp_path: Path) -> None:
    spread = []
    for factor in ("1.0", "0.01"):
        config = bare_gan(sample="$@network(@z)", z=f"${factor} * torch.randn(1, @latent_size)")
        meta = metadata()
        meta["network_data_format"]["outputs"]["pred"]["value_range"] = [-100, 100]
        folder = write_zoo_bundle(tmp_path / factor, config, {"network_def": "model.pt"}, meta=meta)
        made = MonaiBundleGenerator(folder, trust=True).sample(range(16))["image"]
        spread.append(made.std(dim=0).mean().item())
    assert spread[1] < 0.1 * spread[0]


def test_three_channels(tmp_path: Path) -> None:
    folder = write_zoo_bundle(tmp_path / "rgb", gan_config(channels=3), {"network_def": "model.pt"})
    generator = MonaiBundleGenerator(folder, trust=True)
    assert generator.spec.outputs["image"].channels == 3
    assert generator.sample([1])["image"].shape == (1, 3, 8, 8)


def test_networks_that_read_more_than_noise_are_not_guessed(tmp_path: Path) -> None:
    config = ldm(("noise", "latent_shape"))
    with pytest.raises(ValueError, match="not clear how this bundle makes a sample"):
        MonaiBundleGenerator(write_zoo_bundle(tmp_path / "a", config, LDM_NETWORKS, meta={}), trust=True)
    config = ldm(inferer={**INFERER, "_target_": "ControlNetLatentDiffusionInferer"})
    with pytest.raises(ValueError, match="not clear how this bundle makes a sample"):
        MonaiBundleGenerator(write_zoo_bundle(tmp_path / "b", config, LDM_NETWORKS, meta={}), trust=True)
