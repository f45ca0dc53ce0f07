# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Bundles written by somebody else, to the conventions of the model zoo, through one call."""

from __future__ import annotations

import functools
import json
import os
import pickle
import py_compile
import random
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from monai.networks.nets import AutoencoderKL, DiffusionModelUNet
from monai.networks.nets import Generator as MonaiGenerator
from monai.networks.schedulers import DDIMScheduler
from monai.utils import get_seed

from monai_genaug._help import docs_link
from monai_genaug.generators import MonaiBundleGenerator, load_generator
from monai_genaug.generators.bundle_recipe import shipped_recipe_names
from monai_genaug.latent.draws import standard_normal, uniform
from monai_genaug.weights import MissingWeightsError, UnsafeWeightsError, WeightsMismatchError
from tests.generators.maisi_bundle import write_maisi_bundle
from tests.generators.zoo_bundles import (
    LDM_SCRIPT,
    conditioned_config,
    ddpm_config,
    files_in,
    gan_config,
    ldm_config,
    metadata,
    script_gan,
    write_zoo_bundle,
    zoo_diffusion,
    zoo_gan,
)
from tests.test_weights import _Hostile

SEEDS = [0, 3, 5, 5 + 2**32, 2**63 - 1]
NOISE_STREAM = 2**32 + 11
TWO = {"autoencoder_def": "model_autoencoder.pt", "network_def": "model.pt"}


def load(folder: Path, **options: Any) -> MonaiBundleGenerator:
    generator = load_generator(folder, trust=True, **options)
    assert isinstance(generator, MonaiBundleGenerator)
    return generator


def images(generator: Any, seeds: list[int] = SEEDS, **options: Any) -> torch.Tensor:
    made: torch.Tensor = generator.sample(seeds, **options)["image"]
    return made


@pytest.mark.parametrize("spatial_dims", [2, 3])
def test_gan_without_scripts_gives_what_its_network_gives(tmp_path: Path, spatial_dims: int) -> None:
    folder = zoo_gan(tmp_path / "hand_gan", spatial_dims)
    generator = load(folder)
    network = MonaiGenerator(6, (8, *[4] * spatial_dims), (8, 1), (2, 1))
    network.load_state_dict(torch.load(folder / "models" / "model.pt", weights_only=True))
    with torch.no_grad():
        z = uniform(SEEDS, 6, stream=NOISE_STREAM).float()  # the bundle draws its codes with torch.rand
        expected = network.eval()(z).sigmoid()
    assert (images(generator) - expected).abs().max() < 1e-5
    assert generator.spec.spatial_shape == (8,) * spatial_dims
    assert generator.spec.reproducible_batches


def test_gan_with_scripts_reads_normal_codes(tmp_path: Path) -> None:
    folder = script_gan(tmp_path / "bundle", "a", offset=0.25)
    state = torch.load(folder / "models" / "model.pt", weights_only=True)
    z = standard_normal(SEEDS, 6, stream=NOISE_STREAM).float()
    expected = (z @ state["layer.weight"].T + state["layer.bias"] + 0.25).sigmoid().reshape(-1, 1, 8, 8)
    assert (images(load(folder)) - expected).abs().max() < 1e-5


@pytest.mark.parametrize("spatial_dims", [2, 3])
def test_latent_diffusion_gives_what_its_networks_give(tmp_path: Path, spatial_dims: int) -> None:
    folder = zoo_diffusion(tmp_path / "bundle", spatial_dims)
    shared: dict[str, Any] = {"spatial_dims": spatial_dims, "num_res_blocks": 1, "norm_num_groups": 2}
    autoencoder = AutoencoderKL(
        **shared, in_channels=1, out_channels=1, latent_channels=2, channels=(4, 4), attention_levels=(False, False),
        with_encoder_nonlocal_attn=False, with_decoder_nonlocal_attn=False,
    )  # fmt: skip
    unet = DiffusionModelUNet(
        **shared, in_channels=2, out_channels=2, channels=(4, 8), attention_levels=(False, True),
        num_head_channels=(0, 4),
    )  # fmt: skip
    autoencoder.load_state_dict(torch.load(folder / "models" / "model_autoencoder.pt", weights_only=True))
    unet.load_state_dict(torch.load(folder / "models" / "model.pt", weights_only=True))
    scheduler = DDIMScheduler(
        num_train_timesteps=1000, beta_start=0.0015, beta_end=0.0195, schedule="scaled_linear_beta"
    )
    scheduler.set_timesteps(3)
    shape = (2, *[4] * spatial_dims)
    x = standard_normal(SEEDS, 2 * 4**spatial_dims, stream=NOISE_STREAM).float().reshape(len(SEEDS), *shape)
    with torch.no_grad():
        for t in scheduler.timesteps:
            x, _ = scheduler.step(unet.eval()(x, torch.tensor([t])), t, x)
        expected = autoencoder.eval().decode_stage_2_outputs(x).clamp(0, 1)
    made = images(load(folder))
    assert made.std() > 0.05
    assert (made - expected).abs().max() < 1e-4


def test_diffusion_that_draws_in_its_steps_runs_one_seed_per_call(tmp_path: Path) -> None:
    folder = write_zoo_bundle(tmp_path / "bundle", ddpm_config(), {"network_def": "model.pt"}, as_yaml=True)
    generator = load(folder)
    assert not generator.spec.reproducible_batches
    assert any("one seed per call" in warning for warning in generator.spec.warnings)
    made = images(generator)
    assert torch.equal(made, torch.cat([images(generator, [seed]) for seed in SEEDS]))
    assert torch.cdist(made.flatten(1), made.flatten(1)).fill_diagonal_(9).min() > 0.1


@pytest.mark.parametrize("scheduler", ["DDPMScheduler", "PNDMScheduler"])
def test_schedulers_that_draw_or_count_keep_no_state(tmp_path: Path, scheduler: str) -> None:
    steps = {"set_timesteps": "$@noise_scheduler.set_timesteps(num_inference_steps=6)"}  # PNDM needs four and more
    folder = zoo_diffusion(tmp_path / "bundle", 2, scheduler, config=steps, seed=3)
    generator = load(folder)
    first = images(generator, [7])
    images(generator, [1, 2])
    assert torch.equal(images(generator, [7]), first)
    assert (images(generator, [1, 7])[1:] - first).abs().max() < 1e-4


def test_diffusion_without_scripts_and_without_a_sample_item(tmp_path: Path) -> None:
    config = ldm_config(2)
    with_expression = {
        **config,
        "scale_factor": 0.7,
        "inferer": {
            "_target_": "LatentDiffusionInferer",
            "scheduler": "@noise_scheduler",
            "scale_factor": "@scale_factor",
        },
        "sample": (
            "$@inferer.sample(input_noise=@noise, autoencoder_model=@autoencoder, diffusion_model=@diffusion, "
            "scheduler=@noise_scheduler)"
        ),
    }
    without = {key: value for key, value in with_expression.items() if key not in ("sample", "generated_image", "run")}
    neither = {key: value for key, value in without.items() if key != "inferer"}
    made = [
        images(load(write_zoo_bundle(tmp_path / str(i), config, TWO)))
        for i, config in enumerate((with_expression, without, neither))
    ]
    assert made[0].std() > 0.05
    assert all(torch.equal(made[0], other) for other in made[1:])
    unscaled = images(load(zoo_diffusion(tmp_path / "unscaled")))
    assert (made[0] - unscaled).abs().max() > 1e-2


def test_names_of_generative_models_become_those_of_monai(tmp_path: Path) -> None:
    old = ldm_config(2, old=True)
    assert "generative." in json.dumps(old)
    folder = write_zoo_bundle(tmp_path / "old", old, TWO, {"ldm_sampler": "import generative.inferers\n" + LDM_SCRIPT})
    assert torch.equal(images(load(folder)), images(load(zoo_diffusion(tmp_path / "new"))))
    assert "generative" not in sys.modules


def test_old_names_of_tensors_are_converted(tmp_path: Path) -> None:
    def renamed(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        names = ((".attn.", "."), ("out_proj", "proj_attn"), ("postconv", "conv"))
        return {functools.reduce(lambda key, pair: key.replace(*pair), names, k): v for k, v in state.items()}

    plain = zoo_diffusion(tmp_path / "plain")
    state = torch.load(plain / "models" / "model.pt", weights_only=True)
    assert renamed(state).keys() != state.keys()
    old = zoo_diffusion(tmp_path / "old", saved=renamed)
    assert torch.equal(images(load(old)), images(load(plain)))


def conditioned(folder: Path, **changes: Any) -> Path:
    networks = {"autoencoder_def": "model_autoencoder.pt", "diffusion_def": "model.pt"}
    inputs = {"image": {"type": "tabular", "num_channels": 1, "value_range": [0, 1]}}
    meta = metadata()
    meta["network_data_format"]["inputs"] = inputs
    meta["network_data_format"]["outputs"]["pred"]["spatial_shape"] = [8, 8, 8]
    config = {**conditioned_config(), **changes}
    return write_zoo_bundle(folder, config, networks, {"ldm_sampler": LDM_SCRIPT}, meta)


def test_conditions_are_drawn_per_seed_or_fixed(tmp_path: Path) -> None:
    folder = conditioned(tmp_path / "bundle")
    generator = load(folder)
    assert set(generator.recipe.conditions) == {"gender", "age", "ventricular_vol", "brain_vol"}
    assert any("gender" in warning for warning in generator.spec.warnings)
    drawn = images(generator)
    assert torch.equal(drawn, torch.cat([images(generator, [seed]) for seed in SEEDS]))
    fixed = {"gender": 1, "age": 0.25, "ventricular_vol": 0.5, "brain_vol": 0.75}
    values = load(folder, recipe={"conditions": fixed})
    in_config = load(conditioned(tmp_path / "other", **fixed), recipe={"conditions": fixed})
    assert torch.equal(images(values), images(in_config))
    assert (images(values) - drawn).abs().max() > 1e-3
    assert values.spec.sha256 != generator.spec.sha256
    chosen = load(folder, recipe={"conditions": {**fixed, "gender": {"choices": [0, 1]}}})
    same = [(images(chosen, [seed]) - images(values, [seed])).abs().max() == 0 for seed in range(8)]
    assert 0 < sum(same) < 8


def test_trust_is_needed_and_says_what_for(tmp_path: Path) -> None:
    folder = script_gan(tmp_path / "bundle", "a", 0.0)
    (folder / "scripts" / "__init__.py").write_text("raise RuntimeError('was run')")
    with pytest.raises(ValueError, match="trust=True") as caught:
        load_generator(folder)
    for part in (
        "$torch.device('cuda:0' if torch.cuda.is_available() else 'cpu')",
        "import scripts",
        "scripts/nets.py",
        "scripts.nets.Decoder",
        docs_link("how_to/third_party_bundles"),
    ):
        assert part in str(caught.value)


def test_two_bundles_with_scripts_live_side_by_side(tmp_path: Path) -> None:
    own = type(sys)("scripts")
    sys.modules["scripts"] = own
    try:
        first, second = (script_gan(tmp_path / name, name, x) for name, x in (("a", 0.0), ("b", 3.0)))
        path = list(sys.path)
        alone = [images(load(first)), images(load(second))]
        one, two = load(first), load(second)
        for _ in range(2):  # the network imports another module of its scripts at every call
            assert torch.equal(images(one), alone[0])
            assert torch.equal(images(two), alone[1])
        assert (alone[0] - alone[1]).abs().min() > 1e-3
        assert sys.modules["scripts"] is own
        assert sys.path == path
        assert not [name for name in sys.modules if name.startswith("scripts.")]
    finally:
        del sys.modules["scripts"]


def test_nothing_is_written_and_no_state_leaks(tmp_path: Path) -> None:
    folder = script_gan(tmp_path / "bundle", "a", 0.0)
    text = (folder / "scripts" / "nets.py").read_text()
    leak = "import monai\nmonai.utils.set_determinism(5)\ntorch.use_deterministic_algorithms(True)\n"
    (folder / "scripts" / "nets.py").write_text(text.replace("from torch import nn\n", "from torch import nn\n" + leak))
    before = files_in(folder)
    random.seed(1), np.random.seed(1), torch.manual_seed(1)
    states = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()  # type: ignore[index]
    switches = get_seed(), torch.backends.cudnn.deterministic, torch.are_deterministic_algorithms_enabled()
    images(load(folder))
    assert files_in(folder) == before
    assert switches == (
        get_seed(), torch.backends.cudnn.deterministic, torch.are_deterministic_algorithms_enabled()
    )  # fmt: skip
    after = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()  # type: ignore[index]
    assert states == after


def test_compiled_files_next_to_the_scripts_are_not_read(tmp_path: Path) -> None:
    folder = script_gan(tmp_path / "bundle", "a", 0.0)
    expected = images(load(folder))
    cache = folder / "scripts" / "__pycache__"
    cache.mkdir()
    offset = folder / "scripts" / "offset.py"
    offset.write_text("OFFSET = 9.0\n")
    py_compile.compile(str(offset), str(cache / f"offset.{sys.implementation.cache_tag}.pyc"))
    stamp = offset.stat()
    offset.write_text("OFFSET = 0.0\n")
    os.utime(offset, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    assert torch.equal(images(load(folder)), expected)


def test_pickle_is_a_reference_that_refuses_changed_code(tmp_path: Path) -> None:
    folder = script_gan(tmp_path / "bundle", "a", 0.0)
    generator = load(folder)
    expected = images(generator)
    data = pickle.dumps(generator)
    assert len(data) < 10_000
    again = pickle.loads(data)
    assert again.spec == generator.spec
    assert torch.equal(images(again), expected)
    (folder / "scripts" / "offset.py").write_text("OFFSET = 1.0\n")
    with pytest.raises(ValueError, match="have changed since they were trusted"):
        pickle.loads(data)
    (folder / "scripts" / "offset.py").write_text("OFFSET = 0.0\n")
    later = pickle.loads(data)
    state = torch.load(folder / "models" / "model.pt", weights_only=True)
    torch.save({key: value + 1 for key, value in state.items()}, folder / "models" / "model.pt")
    with pytest.raises(ValueError, match=r"weights of .* have changed"):
        images(later)


@pytest.mark.parametrize("how", ["bare", "nested", "parallel"])
def test_checkpoints_as_trainers_write_them(tmp_path: Path, how: str) -> None:
    saved = {
        "bare": dict,
        "nested": lambda state: {"model": state, "epoch": 3, "optimizer": {"lr": 0.1}},
        "parallel": lambda state: {f"module.{key}": value for key, value in state.items()},
    }[how]
    expected = images(load(zoo_gan(tmp_path / "plain")))
    assert torch.equal(images(load(zoo_gan(tmp_path / "other", saved=saved))), expected)


def test_weights_are_found_where_no_item_loads_them(tmp_path: Path) -> None:
    expected = images(load(zoo_gan(tmp_path / "plain")))
    config = gan_config()
    for name in ("handlers", "evaluator", "ckpt_path"):
        del config[name]
    folder = write_zoo_bundle(tmp_path / "other", config, {"network_def": "final.pth"})
    torch.save({"other": torch.ones(2)}, folder / "models" / "discriminator.pt")
    assert torch.equal(images(load(folder)), expected)


def drop(state: dict[str, Any]) -> dict[str, Any]:
    return dict(list(state.items())[1:])


def add(state: dict[str, Any]) -> dict[str, Any]:
    return {**state, "extra": torch.ones(2)}


def rename(state: dict[str, Any]) -> dict[str, Any]:
    return {f"other.{key}": value for key, value in state.items()}


@pytest.mark.parametrize("change", [drop, add, rename])
@pytest.mark.parametrize("strict", [True, False])
def test_weights_that_do_not_fit_are_refused(tmp_path: Path, change: Any, strict: bool) -> None:
    with pytest.raises(WeightsMismatchError):
        load(zoo_gan(tmp_path / "gan", saved=change))
    config = ldm_config()
    if not strict:
        load_text = config["load_diffusion"].replace("))", "), strict=False)")
        config["load_diffusion"] = load_text
    folder = write_zoo_bundle(tmp_path / "ldm", config, TWO, {"ldm_sampler": LDM_SCRIPT}, saved=change)
    with pytest.raises(ValueError, match="cannot be used"):
        load(folder)


def test_weights_copied_in_part_are_refused(tmp_path: Path) -> None:
    config = ldm_config()
    config["load_diffusion"] = "$monai.networks.utils.copy_model_state(@network_def, torch.load(@load_diffusion_path))"
    load(write_zoo_bundle(tmp_path / "all", config, TWO, {"ldm_sampler": LDM_SCRIPT}))
    folder = write_zoo_bundle(tmp_path / "part", config, TWO, {"ldm_sampler": LDM_SCRIPT})
    state = torch.load(folder / "models" / "model.pt", weights_only=True)
    torch.save(drop(state), folder / "models" / "model.pt")
    with pytest.raises(WeightsMismatchError, match="1 tensors got no weights"):
        load(folder)


def test_missing_and_hostile_weights_are_refused(tmp_path: Path) -> None:
    folder = zoo_gan(tmp_path / "bundle")
    model = folder / "models" / "model.pt"
    model.unlink()
    with pytest.raises(MissingWeightsError):
        load(folder)
    marker = tmp_path / "marker"
    torch.save({"weight": torch.ones(1), "hostile": _Hostile(marker)}, model)
    with pytest.raises(UnsafeWeightsError):
        load(folder)
    assert not marker.exists()


def test_unclear_bundles_say_what_they_have_and_what_is_needed(tmp_path: Path) -> None:
    network = {"_target_": "Discriminator", "in_shape": [1, 8, 8], "channels": [2], "strides": [2]}
    config = {"imports": ["$import glob"], "widget": 3, "network_def": network}
    folder = write_zoo_bundle(tmp_path / "bundle", config, {}, meta={})
    with pytest.raises(ValueError, match="not clear how") as caught:
        load(folder)
    for part in ("widget", "'sample'", "'noise'", docs_link("how_to/third_party_bundles")):
        assert part in str(caught.value)


def test_references_to_nothing_are_named(tmp_path: Path) -> None:
    config = gan_config()
    config["sample"] = "$@network(@noise) + @forgotten"
    config["noise"] = "$torch.randn(1, @latent_size)"
    with pytest.raises(ValueError, match="`@forgotten` is not defined"):
        load(write_zoo_bundle(tmp_path / "bundle", config, {"network_def": "model.pt"}))


def test_recipes_override_the_conventions(tmp_path: Path) -> None:
    folder = zoo_gan(tmp_path / "bundle")
    plain = images(load(folder))
    path = tmp_path / "recipe.json"
    path.write_text(json.dumps({"sample": "$-@network(@code)", "noise": {"id": "code", "like": "dataset"},
                                "spec": {"value_range": [-50, 50], "modality": "X-ray"}}))  # fmt: skip
    for recipe in (str(path), path, json.loads(path.read_text())):
        generator = load(folder, recipe=recipe)
        assert (images(generator) + plain.logit()).abs().max() < 1e-2
        assert generator.spec.modality == "X-ray"
        assert generator.spec.outputs["image"].value_range == (-50, 50)
    with pytest.raises(ValueError, match=r"unknown fields \['smaple'\]"):
        load(folder, recipe={"smaple": "x"})
    with pytest.raises(ValueError, match=r"names \['nothing'\]"):
        load(folder, recipe={"sample": "nothing"})
    with pytest.raises(ValueError, match="cannot be read"):
        load(folder, recipe=tmp_path / "none.json")


def test_classes_by_recipe(tmp_path: Path) -> None:
    config = gan_config()
    config["kind"] = 0
    folder = write_zoo_bundle(tmp_path / "bundle", config, {"network_def": "model.pt"})
    recipe = {
        "sample": "$(@network(@genaug_noise).sigmoid() + @kind) / 2",
        "noise": {"id": "genaug_noise", "distribution": "normal", "shape": [6]},
        "class_id": "kind",
        "classes": {"0": "dark", "1": "bright"},
    }
    generator = load(folder, recipe=recipe)
    assert generator.spec.classes == {0: "dark", 1: "bright"}
    made = images(generator, [1, 1, 2], class_label=["dark", "bright", 1])
    assert (made[1] - made[0] - 0.5).abs().max() < 1e-5
    assert made[2].min() >= 0.5
    with pytest.raises(ValueError, match="needs class_label"):
        images(generator)


class TestSampler:
    """An item ``sampler`` of the config that is called."""

    @pytest.mark.parametrize(
        "signature", ["num_samples, label=None, seed=None", "noise", "n", "seeds, class_label=None", "noise, seed"]
    )
    def test_is_called_by_the_names_of_its_parameters(self, tmp_path: Path, signature: str) -> None:
        body = {
            "num_samples, label=None, seed=None": "torch.randn(num_samples, 6) + (seed % 7) / 7",
            "noise": "noise",
            "n": "torch.randn(n, 6)",
            "seeds, class_label=None": "torch.tensor([[float(s % 1000) / 1000] * 6 for s in seeds])",
            "noise, seed": "noise * (1 + seed % 3)",
        }[signature]
        script = (
            f"import torch\n\n\nclass Sampler:\n    def __init__(self, network):\n        self.network = network\n\n"
            f"    def __call__(self, {signature}):\n        return self.network({body}).sigmoid()\n"
        )
        config = gan_config()
        config["load"] = "$@network.load_state_dict(torch.load(@ckpt_path))"
        config["noise"] = "$torch.randn(1, @latent_size)"
        config["sampler"] = {"_target_": "scripts.sampling.Sampler", "network": "@network", "_requires_": "@load"}
        folder = write_zoo_bundle(tmp_path / "bundle", config, {"network_def": "model.pt"}, {"sampling": script})
        generator = load(folder)
        made = images(generator, [1, 2, 5])
        assert torch.cdist(made.flatten(1), made.flatten(1)).fill_diagonal_(9).min() > 1e-3
        one_by_one = torch.cat([images(generator, [seed]) for seed in (1, 2, 5)])
        assert (made - one_by_one).abs().max() < 1e-5


def test_bundles_that_break_the_contract_are_refused(tmp_path: Path) -> None:
    config = gan_config()
    config["sample"] = "$@network(torch.ones(1, @latent_size))"
    with pytest.raises(ValueError, match="two seeds give the same sample"):
        load(write_zoo_bundle(tmp_path / "constant", config, {"network_def": "model.pt"}))
    counting = "COUNT = [0]\n\n\ndef count():\n    COUNT[0] += 1\n    return COUNT[0]\n"
    config["imports"].append("$from scripts.counting import count")
    config["noise"] = "$torch.randn(1, @latent_size)"
    config["sample"] = "$@network(@noise) + count()"
    with pytest.raises(ValueError, match="two calls with one seed differ"):
        load(write_zoo_bundle(tmp_path / "counting", config, {"network_def": "model.pt"}, {"counting": counting}))


def test_random_generators_of_a_config_are_seeded(tmp_path: Path) -> None:
    config = gan_config()
    config["source"] = "$torch.Generator().manual_seed(0)"
    config["numpy_source"] = "$np.random.default_rng(0)"
    config["noise"] = "$torch.randn(1, @latent_size, generator=@source) + float(@numpy_source.random())"
    config["sample"] = "$@network(@noise).sigmoid()"
    generator = load(write_zoo_bundle(tmp_path / "bundle", config, {"network_def": "model.pt"}))
    made = images(generator)
    assert torch.equal(images(generator, SEEDS[::-1]), made.flip(0))
    assert torch.cdist(made.flatten(1), made.flatten(1)).fill_diagonal_(9).min() > 1e-3


def test_batches_that_influence_each_other_are_made_one_by_one(tmp_path: Path) -> None:
    config = gan_config()
    config["noise"] = "$torch.randn(1, @latent_size)"
    config["made"] = "$@network(@noise)"
    config["sample"] = "$(@made - @made.min()) / (@made.max() - @made.min())"
    generator = load(write_zoo_bundle(tmp_path / "bundle", config, {"network_def": "model.pt"}))
    assert not generator.spec.reproducible_batches
    made = images(generator)
    assert torch.equal(made.flatten(1).amin(dim=1), torch.zeros(len(SEEDS)))
    assert torch.equal(made.flatten(1).amax(dim=1), torch.ones(len(SEEDS)))


def test_values_outside_the_range_are_clipped_with_a_warning(tmp_path: Path) -> None:
    config = gan_config()
    config["postprocessing"]["transforms"] = config["postprocessing"]["transforms"][1:]
    folder = write_zoo_bundle(tmp_path / "bundle", config, {"network_def": "model.pt"})
    with pytest.warns(UserWarning, match="lie outside value_range"):
        made = images(load(folder))
    assert made.min() == 0
    assert made.max() == 1


def test_spec_comes_from_the_metadata(tmp_path: Path) -> None:
    spec = load(zoo_gan(tmp_path / "hand_gan")).spec
    assert (spec.name, spec.version, spec.modality, spec.weights_licence) == ("hand_gan", "0.1.1", "MR", "Apache-2.0")
    assert spec.provenance is not None
    assert spec.provenance.dataset == "a data set"
    assert not spec.provenance.item_hashes
    assert any("demonstration only" in warning for warning in spec.warnings)
    assert len(spec.sha256) == 64
    bare = load(zoo_gan(tmp_path / "bare", meta={})).spec
    assert bare.outputs["image"].value_range == (0, 1)
    assert any("does not say its value range" in warning for warning in bare.warnings)
    assert spec.sha256 != load(zoo_gan(tmp_path / "other", seed=5)).spec.sha256


def shrunk_zoo(folder: Path, name: str) -> Path:
    """A bundle with the name and the items of one of the model zoo, with small networks."""
    if name == "mednist_gan":
        return zoo_gan(folder / name)
    if name == "mednist_ddpm":
        meta = metadata()
        meta["network_data_format"]["outputs"]["pred"].update(spatial_shape=[1, 8, 8], value_range=[], modality="xray")
        return write_zoo_bundle(folder / name, ddpm_config(), {"network_def": "model.pt"}, meta=meta, as_yaml=True)
    if name.startswith("brain"):
        return conditioned(folder / name)
    if name.startswith("maisi"):
        return write_maisi_bundle(folder / name, size=8)
    spatial_dims = 2 if "axial" in name else 3
    config = ldm_config(spatial_dims)
    for id_ in ("sample", "generated_image"):
        del config[id_]
    config["load_diffusion"] = "$@network_def.load_old_state_dict(torch.load(@load_diffusion_path))"
    config["run"] = ["$@inferer.run(@noise, @autoencoder, @diffusion, @noise_scheduler, @saver)"]
    return write_zoo_bundle(folder / name, config, TWO, {"ldm_sampler": LDM_SCRIPT}, latent_metadata(spatial_dims))


def latent_metadata(spatial_dims: int) -> dict[str, Any]:
    """As those of the BraTS bundles: the main network makes latents, the autoencoder images."""
    image = {
        "type": "image", "num_channels": 1, "spatial_shape": [8] * spatial_dims, "value_range": [0, 1],
        "modality": "MR",
    }  # fmt: skip
    latent = {"type": "feature", "num_channels": 2, "spatial_shape": [4] * spatial_dims, "value_range": [-9, 9]}
    noise = {"type": "noise", "num_channels": 2, "spatial_shape": [4] * spatial_dims}
    return metadata(
        network_data_format={"inputs": {"latent": noise}, "outputs": {"pred": latent}},
        autoencoder_data_format={"inputs": {"image": image}, "outputs": {"pred": image}},
    )


@pytest.mark.parametrize("name", shipped_recipe_names())
def test_bundles_of_the_zoo_that_are_known_by_name(tmp_path: Path, name: str) -> None:
    folder = shrunk_zoo(tmp_path, name)
    generator = load(folder)
    spec = generator.spec
    assert (spec.name, spec.anatomy in ("hand", "brain", "liver, hepatic tumor")) == (name, True)
    assert spec.outputs["image"].value_range == ((-1000, 1000) if name.startswith("maisi") else (0, 1))
    assert spec.spatial_shape == (8,) * (3 if spec.spacing and len(spec.spacing) == 3 else 2)
    made = images(generator)
    assert made.shape == (len(SEEDS), 1, *spec.spatial_shape)
    assert (made - torch.cat([images(generator, [seed]) for seed in SEEDS])).abs().max() < 1e-4
    again = pickle.loads(pickle.dumps(generator))
    assert (images(again) - made).abs().max() < 1e-4
    if name == "mednist_ddpm":
        assert generator.recipe.noise is not None
        assert generator.recipe.noise.distribution == "normal"
        uniform_noise = load(folder, recipe={"noise": {"distribution": "uniform"}})
        assert (images(uniform_noise) - made).abs().max() > 1e-2
    if name.startswith("brain"):
        assert generator.recipe.conditions["gender"].choices == (0, 1)


def test_the_image_s_range_is_not_that_of_the_latents(tmp_path: Path) -> None:
    folder = zoo_diffusion(tmp_path / "bundle", 2, meta=latent_metadata(2))
    output = load(folder).spec.outputs["image"]
    assert (output.value_range, output.channels) == ((0, 1), 1)
