# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""What every generator promises: sample i is a function of the weights, seed i and class i, and of nothing else."""

from __future__ import annotations

import copy
import functools
import multiprocessing
import pickle
import random
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from monai_genaug.generators import (
    LatentGenerator,
    RefreshedPool,
    SampleGenerator,
    SamplePool,
    VAEGenerator,
    build_pool,
    load_generator,
)
from monai_genaug.networks import RHVAE
from tests.generators.maisi_bundle import write_maisi_bundle
from tests.generators.zoo_bundles import zoo_diffusion, zoo_gan
from tests.ranks import run_ranks
from tests.toy import CHANNELS, LABELS, toy_generator, toy_spec, write_toy_bundle
from tests.toy_decoders import exported_generator, function_generator, module_generator
from tests.toy_families import family_generator, write_family_bundle

SHAPE = (8, 8, 8)
SEEDS = [0, 1, 5, 5 + 2**32, 2**63 - 1, *range(100, 127)]


@functools.cache
def _fitted_rhvae() -> RHVAE:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        network = RHVAE(3, SHAPE, 1, len(LABELS), latent_dim=2, channels=CHANNELS, temperature=1.0)
        network.latent.fit(torch.randn(24, 2), 0.3 * torch.eye(2).repeat(24, 1, 1), torch.randn(8, 2))
    network.latent.n_steps.fill_(8)  # what is tested does not need chains that have converged
    return network


def _drawing_diffusion(folder: Path) -> Path:
    """Latent diffusion of somebody else whose steps draw from the global random state."""
    config = {
        "set_timesteps": "$@noise_scheduler.set_timesteps(num_inference_steps=2)",
        "sample": "$@inferer.sampling_fn(@noise, @autoencoder, @diffusion, @noise_scheduler).sigmoid()",
    }
    return zoo_diffusion(folder, len(SHAPE), "DDPMScheduler", config=config)


def _writing_bundle(folder: Path) -> SampleGenerator:
    """Image and mask of somebody else, written as files, with intensities from 0 to 1."""
    to_unit = {"_target_": "ScaleIntensityRange", "a_min": -1000, "a_max": 1000, "b_min": 0, "b_max": 1}
    quick = {"num_inference_steps": 1, "image_output_ext": ".nii", "label_output_ext": ".nii"}
    recipe = {"overrides": {"to_unit": to_unit, **quick}, "postprocessing": "to_unit", "spec": {"value_range": [0, 1]}}
    return load_generator(write_maisi_bundle(folder / "maisi_ct_generative", SHAPE[0]), trust=True, recipe=recipe)


MAKERS: dict[str, Callable[[Path], SampleGenerator]] = {
    "network": lambda folder: toy_generator(SHAPE),
    "bundle": lambda folder: load_generator(write_toy_bundle(folder / "toy_bundle", SHAPE)),
    "conditional": lambda folder: toy_generator(SHAPE, classes=("a", "b")),
    "riemannian": lambda folder: VAEGenerator(_fitted_rhvae(), toy_spec(SHAPE, name="toy_rhvae", truncation=False)),
    "pool": lambda folder: build_pool(toy_generator(SHAPE), 40, folder / "pool", progress=False),
    "refreshed_pool": lambda folder: RefreshedPool(toy_generator(SHAPE), 40, folder / "refreshed", progress=False),
    "conditional_vae": lambda folder: load_generator(write_family_bundle(folder / "cvae", "conditional_vae", SHAPE)),
    "per_class_vae": lambda folder: family_generator("per_class_vae", SHAPE),
    "gan": lambda folder: family_generator("gan", SHAPE),
    "conditional_gan": lambda folder: load_generator(write_family_bundle(folder / "cgan", "conditional_gan", SHAPE)),
    "module": lambda folder: module_generator(SHAPE),
    "torchscript": lambda folder: exported_generator(SHAPE, folder / "model.ts"),
    "torch_export": lambda folder: exported_generator(SHAPE, folder / "model.pt2"),
    "function": lambda folder: function_generator(),
    "global_function": lambda folder: function_generator(uses_global_state=True),
    "diffusion": lambda folder: family_generator("diffusion", SHAPE, patch_size=2),
    "conditional_diffusion": lambda folder: load_generator(
        write_family_bundle(folder / "cdiffusion", "conditional_diffusion", SHAPE, patch_size=2)
    ),
    "ddpm": lambda folder: family_generator("ddpm", SHAPE, patch_size=2),
    "zoo_gan": lambda folder: load_generator(zoo_gan(folder / "zoo_gan", len(SHAPE)), trust=True),
    "zoo_diffusion": lambda folder: load_generator(_drawing_diffusion(folder / "zoo_diffusion"), trust=True),
    "zoo_files": _writing_bundle,
}
every_kind = pytest.mark.parametrize("kind", MAKERS)
with_encoder = pytest.mark.parametrize(
    "kind", ["network", "bundle", "conditional", "riemannian", "conditional_vae", "per_class_vae"]
)
CONDITIONAL = ["conditional", "conditional_vae", "per_class_vae", "conditional_gan", "module", "torchscript"]
with_classes = pytest.mark.parametrize("kind", [*CONDITIONAL, "conditional_diffusion"])


@pytest.fixture(scope="module")
def third_party(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], SampleGenerator]:
    """Generators that take seconds to load, each of them once."""
    return functools.cache(lambda kind: MAKERS[kind](tmp_path_factory.mktemp(kind)))


@pytest.fixture
def generator(kind: str, tmp_path: Path, third_party: Callable[[str], SampleGenerator]) -> Iterator[SampleGenerator]:
    made = third_party(kind) if kind.startswith("zoo") else MAKERS[kind](tmp_path)
    size = made.batch_size
    yield made
    made.batch_size = size


def labels_for(generator: SampleGenerator, seeds: list[int]) -> list[int] | None:
    return None if generator.spec.classes is None else [seed % 2 for seed in seeds]


def sample(generator: SampleGenerator, seeds: list[int]) -> dict[str, Tensor]:
    return generator.sample(seeds, labels_for(generator, seeds))


def assert_same(one: dict[str, Tensor], other: dict[str, Tensor]) -> None:
    """Equal to 1e-4 of the value range; a mask may differ where the network cannot tell two labels apart."""
    assert one.keys() == other.keys()
    assert (one["image"] - other["image"]).abs().max() <= 1e-4
    if "mask" in one:
        assert (one["mask"] != other["mask"]).float().mean() < 1e-3


@every_kind
def test_samples_are_what_the_spec_says(generator: SampleGenerator) -> None:
    samples = sample(generator, SEEDS)
    assert list(samples) == list(generator.spec.outputs)
    assert samples["image"].shape == (len(SEEDS), 1, *SHAPE)
    assert samples["image"].dtype == torch.float32
    assert 0 <= samples["image"].min() < samples["image"].max() <= 1
    if "mask" in samples:
        assert samples["mask"].shape == samples["image"].shape
        assert samples["mask"].dtype == torch.uint8
        assert set(samples["mask"].unique().tolist()) <= {0, 1, 2}
    assert not samples["image"].requires_grad
    assert not samples["image"].is_inference()


@every_kind
def test_different_seeds_give_different_samples(generator: SampleGenerator, kind: str) -> None:
    images = sample(generator, SEEDS)["image"].flatten(1)
    distances = torch.cdist(images, images) + 10 * torch.eye(len(images))
    if "pool" in kind:  # 40 stored items, hence some seeds share one
        assert len({tuple(image.tolist()) for image in images}) > 15
    else:
        assert distances.min() > 1e-3
        assert images.std(dim=0).mean() > 0.01


@every_kind
@pytest.mark.parametrize("batch_size", [1, 7, 32])
def test_batch_size_changes_nothing(generator: SampleGenerator, batch_size: int) -> None:
    expected = sample(generator, SEEDS)
    in_calls = [sample(generator, SEEDS[i : i + batch_size]) for i in range(0, len(SEEDS), batch_size)]
    assert_same({name: torch.cat([part[name] for part in in_calls]) for name in expected}, expected)
    generator.batch_size = batch_size
    assert_same(sample(generator, SEEDS), expected)


@with_encoder
@pytest.mark.parametrize("batch_size", [1, 7])
def test_codes_are_bit_equal_for_any_batch(generator: SampleGenerator, batch_size: int) -> None:
    assert isinstance(generator, LatentGenerator)
    expected = generator.sample_latent(SEEDS, labels_for(generator, SEEDS))
    for start in range(0, len(SEEDS), batch_size):
        seeds = SEEDS[start : start + batch_size]
        assert torch.equal(
            generator.sample_latent(seeds, labels_for(generator, seeds)), expected[start : start + batch_size]
        )


@every_kind
def test_order_and_repetition_change_nothing(generator: SampleGenerator) -> None:
    expected = sample(generator, SEEDS)
    order = [7, 3, 3, 0, len(SEEDS) - 1]
    again = sample(generator, [SEEDS[i] for i in order])
    assert_same(again, {name: values[order] for name, values in expected.items()})


@every_kind
def test_global_random_state_is_neither_moved_nor_read(generator: SampleGenerator, tmp_path: Path) -> None:
    def use() -> dict[str, Tensor]:
        samples = sample(generator, SEEDS[:6])
        if isinstance(generator, LatentGenerator):
            labels = labels_for(generator, SEEDS[:6])
            samples["code"] = generator.encode(samples, labels, seeds=SEEDS[:6])
            for mode in (generator.perturb, generator.edit, generator.interpolate):
                samples[mode.__name__] = mode(samples, SEEDS[:6], 0.5, labels)["image"]
            samples["reconstruction"] = generator.reconstruct(samples, labels)["image"]
        return samples

    results = []
    for seed in (1, 2):
        random.seed(seed)
        np.random.seed(seed)
        torch.manual_seed(seed)
        before = (random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist())  # type: ignore[index]
        results.append(use())
        after = (random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist())  # type: ignore[index]
        assert before == after
    assert all(torch.equal(results[0][name], results[1][name]) for name in results[0])


@every_kind
def test_deepcopy_is_the_same_handle(generator: SampleGenerator) -> None:
    assert copy.deepcopy(generator) is generator
    assert copy.deepcopy({"transform": [generator]})["transform"][0] is generator


FROM_FILES = ["bundle", "pool", "conditional_vae", "conditional_gan", "conditional_diffusion"]


@pytest.mark.parametrize("kind", [*FROM_FILES, "torchscript", "torch_export", "function", "zoo_gan", "zoo_diffusion"])
def test_pickle_carries_a_reference(generator: SampleGenerator) -> None:
    expected = sample(generator, SEEDS)
    generator.batch_size = 5
    data = pickle.dumps(generator)
    assert len(data) < 10_000
    again: SampleGenerator = pickle.loads(data)
    assert again.batch_size == 5
    assert again.spec == generator.spec
    assert_same(sample(again, SEEDS), expected)


IN_MEMORY = ["network", "conditional", "riemannian", "per_class_vae", "gan", "module", "diffusion", "ddpm"]


@pytest.mark.parametrize("kind", IN_MEMORY)
def test_generators_in_memory_survive_pickling(generator: SampleGenerator) -> None:
    again: SampleGenerator = pickle.loads(pickle.dumps(generator))
    assert again.spec == generator.spec
    assert_same(sample(again, SEEDS), sample(generator, SEEDS))


@every_kind
def test_threads_agree(generator: SampleGenerator) -> None:
    expected = sample(generator, SEEDS[:8])
    fresh = pickle.loads(pickle.dumps(generator))  # not loaded yet, where loading is lazy
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda seed: sample(fresh, [seed]), SEEDS[:8] * 4))
    for i, result in enumerate(results):
        assert_same(result, {name: values[i % 8 : i % 8 + 1] for name, values in expected.items()})


class _Items(Dataset[dict[str, Tensor]]):
    """Item i holds sample i of every generator."""

    def __init__(self, generators: dict[str, SampleGenerator]) -> None:
        self.generators = generators

    def __len__(self) -> int:
        return 6

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        return {
            f"{kind}.{name}": values[0]
            for kind, generator in self.generators.items()
            for name, values in sample(generator, [SEEDS[index]]).items()
        }


def assert_items(found: dict[str, Tensor], generators: dict[str, SampleGenerator]) -> None:
    for kind, generator in generators.items():
        assert_same({name: found[f"{kind}.{name}"] for name in generator.spec.outputs}, sample(generator, SEEDS[:6]))


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_loader_workers_agree(method: str, tmp_path: Path) -> None:
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"{method} is not available here")
    # a spawned worker imports everything, which takes seconds: one of them, one generator
    kinds, workers = (["conditional_vae"], 1) if method == "spawn" else (list(MAKERS), 2)
    generators = {kind: MAKERS[kind](tmp_path) for kind in kinds}
    loader = DataLoader(_Items(generators), batch_size=2, num_workers=workers, multiprocessing_context=method)
    batches = list(loader)
    assert_items({name: torch.cat([batch[name] for batch in batches]) for name in batches[0]}, generators)


def _sample_as_rank(rank: int, generators: dict[str, SampleGenerator], folder: Path) -> None:
    torch.manual_seed(rank)
    items = _Items(generators)
    mine = [items[i] for i in range(6)]
    torch.save({name: torch.stack([item[name] for item in mine]) for name in mine[0]}, folder / f"{rank}.pt")


def test_ranks_agree(tmp_path: Path) -> None:
    generators = {kind: make(tmp_path) for kind, make in MAKERS.items()}
    run_ranks(_sample_as_rank, generators, tmp_path)
    for rank in range(2):
        assert_items(torch.load(tmp_path / f"{rank}.pt", weights_only=True), generators)


@every_kind
@pytest.mark.parametrize("seeds", [[], [-1], [2**63], [0.5], ["1"]])
def test_bad_seeds_are_refused(generator: SampleGenerator, seeds: list[Any]) -> None:
    with pytest.raises(ValueError, match="seed"):
        generator.sample(seeds, None if generator.spec.classes is None else 0)


@every_kind
def test_seeds_may_be_numpy_or_torch_integers(generator: SampleGenerator) -> None:
    label = None if generator.spec.classes is None else "b"
    expected = generator.sample([3, 4], label)
    for seeds in (range(3, 5), np.array([3, 4]), torch.tensor([3, 4])):
        assert_same(generator.sample(seeds, label), expected)  # type: ignore[arg-type]


@every_kind
@pytest.mark.parametrize("truncation", [0.0, -1.0, 1.5, float("nan")])
def test_bad_truncation_is_refused(generator: SampleGenerator, truncation: float) -> None:
    with pytest.raises(ValueError, match="truncation"):
        generator.sample([1], labels_for(generator, [1]), truncation)


@pytest.mark.parametrize("kind", ["pool", "riemannian", "diffusion", "ddpm", "zoo_gan"])
def test_truncation_is_refused_where_there_is_none(generator: SampleGenerator) -> None:
    with pytest.raises(ValueError, match="has no truncation"):
        generator.sample([1], truncation=0.5)


@pytest.mark.parametrize(
    "kind",
    ["network", "bundle", "conditional", "conditional_vae", "gan", "conditional_gan", "module", "torch_export"],
)
def test_truncation_approaches_the_mean(generator: SampleGenerator) -> None:
    labels = None if generator.spec.classes is None else 0
    spread = [generator.sample(SEEDS, labels, truncation)["image"].std(dim=0).mean() for truncation in (1.0, 0.1, 0.01)]
    assert spread[0] > spread[1] > 2 * spread[2] > 0


@with_classes
def test_class_errors_name_the_classes(generator: SampleGenerator) -> None:
    with pytest.raises(ValueError, match=r"needs class_label, one of 0 \('a'\), 1 \('b'\)"):
        generator.sample([1])
    with pytest.raises(ValueError, match=r"'c' is unknown .* 0 \('a'\), 1 \('b'\)"):
        generator.sample([1], "c")
    with pytest.raises(ValueError, match="2 class labels for 3 samples"):
        generator.sample([1, 2, 3], ["a", "b"])


@pytest.mark.parametrize("kind", ["network", "pool", "gan", "zoo_gan"])
def test_class_for_an_unconditional_generator_is_refused(generator: SampleGenerator) -> None:
    with pytest.raises(ValueError, match="has no classes"):
        generator.sample([1], 0)


@pytest.mark.parametrize("kind", ["conditional"])
def test_classes_reach_the_sample(generator: SampleGenerator) -> None:
    means = generator.sample([1, 1, 2, 2], ["a", 1, 0, "b"])["image"].flatten(1).mean(dim=1)
    assert (means[[0, 2]] < 0.5).all()
    assert (means[[1, 3]] > 0.5).all()


@with_classes
def test_the_class_changes_the_sample_of_a_seed(generator: SampleGenerator) -> None:
    images = generator.sample([1, 1, 2, 2], ["a", "b", "a", "b"])["image"]
    assert (images[[0, 2]] - images[[1, 3]]).abs().flatten(1).amax(dim=1).min() > 1e-2


def test_pool_of_a_pool_is_a_pool(tmp_path: Path) -> None:
    first = build_pool(toy_generator(SHAPE), 5, tmp_path / "first", progress=False)
    second = build_pool(first, 3, tmp_path / "second", progress=False)
    assert isinstance(second, SamplePool)
    assert any(torch.equal(second[0]["image"], first[i]["image"]) for i in range(5))


def test_parts_that_differ_are_refused() -> None:
    class Changing(SampleGenerator):
        batch_size = 2

        def _generate(self, seeds: list[int], classes: list[int] | None, truncation: float) -> dict[str, Tensor]:
            return {"image": torch.zeros(1 if 3 in seeds else 2, 1, *SHAPE)}

    generator = Changing(toy_spec(SHAPE).replace(outputs={"image": toy_spec(SHAPE).outputs["image"]}, encodes=()))
    assert generator.sample([0, 1, 4, 5])["image"].shape == (4, 1, *SHAPE)
    with pytest.raises(ValueError, match=r"'image' is \(1, 1, .* from sample 2 on, needed \(2, 1, "):
        generator.sample([0, 1, 2, 3])
