# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import copy
import pickle
import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from monai.data.utils import set_rnd
from torch import Tensor

from monai_genaug.generators import (
    GeneratorSpec,
    LatentGenerator,
    SampleGenerator,
    SamplePool,
    VAEGenerator,
    build_pool,
    load_generator,
)
from monai_genaug.generators.per_class import PerClassGenerator
from monai_genaug.networks import VAE
from monai_genaug.transforms import RandGenerativeSampled
from tests.toy import CHANNELS, LABELS, toy_generator, toy_network, toy_spec, write_toy_bundle

SHAPE = (8, 8, 8)
SEEDS = list(range(12))
LABELS_OF_SEEDS = [0, 1, 1, 0, 2, 2, 0, 1, 0, 2, 1, 0]


def member(seed: int, **changes: Any) -> VAEGenerator:
    return VAEGenerator(toy_network(SHAPE, seed=seed), toy_spec(SHAPE, name=f"toy{seed}", **changes))


@pytest.fixture
def latent() -> PerClassGenerator:
    return PerClassGenerator({"a": member(0), "b": member(1), "c": member(2)})


@pytest.fixture
def pools(tmp_path: Path) -> PerClassGenerator:
    return PerClassGenerator(
        {name: build_pool(member(i), 6, tmp_path / name, progress=False) for i, name in enumerate("abc")}
    )


def assert_same(one: dict[str, Tensor], other: dict[str, Tensor]) -> None:
    assert one.keys() == other.keys()
    assert (one["image"] - other["image"]).abs().max() <= 1e-4
    assert (one["mask"] != other["mask"]).float().mean() < 1e-3


@pytest.fixture(params=["latent", "pools"])
def generator(request: pytest.FixtureRequest) -> PerClassGenerator:
    found: PerClassGenerator = request.getfixturevalue(request.param)
    return found


def test_members_decide_the_kind(latent: PerClassGenerator, pools: PerClassGenerator) -> None:
    assert isinstance(latent, PerClassGenerator)
    assert isinstance(latent, LatentGenerator)
    assert not isinstance(pools, LatentGenerator)
    mixed = PerClassGenerator({"a": latent.members["a"], "b": pools.members["b"]})
    assert not isinstance(mixed, LatentGenerator)
    assert mixed.sample([1, 1], ["a", "b"])["image"].shape == (2, 1, *SHAPE)
    with pytest.raises(ValueError, match="has no truncation"):
        mixed.sample([1], "a", truncation=0.5)


def test_a_sample_is_that_of_the_member(generator: PerClassGenerator) -> None:
    samples = generator.sample(SEEDS, LABELS_OF_SEEDS)
    assert list(samples) == ["image", "mask"]
    assert samples["mask"].dtype == torch.uint8
    for number, own in enumerate(generator.members.values()):
        rows = [row for row, label in enumerate(LABELS_OF_SEEDS) if label == number]
        expected = own.sample(rows)
        for name, values in samples.items():
            assert torch.equal(values[rows], expected[name])


def test_classes_by_name_and_id(generator: PerClassGenerator) -> None:
    assert generator.spec.classes == {0: "a", 1: "b", 2: "c"}
    assert_same(generator.sample([5, 6], ["c", "a"]), generator.sample([5, 6], [2, 0]))
    with pytest.raises(ValueError, match=r"needs class_label, one of 0 \('a'\), 1 \('b'\), 2 \('c'\)"):
        generator.sample([1])
    with pytest.raises(ValueError, match="'d' is unknown"):
        generator.sample([1], "d")


@pytest.mark.parametrize("batch_size", [1, 5])
def test_batches_and_order_change_nothing(generator: PerClassGenerator, batch_size: int) -> None:
    expected = generator.sample(SEEDS, LABELS_OF_SEEDS)
    order = [7, 3, 3, 0, 11]
    again = generator.sample([SEEDS[i] for i in order], [LABELS_OF_SEEDS[i] for i in order])
    assert_same(again, {name: values[order] for name, values in expected.items()})
    generator.batch_size = batch_size
    assert_same(generator.sample(SEEDS, LABELS_OF_SEEDS), expected)


def test_truncation_reaches_the_members(latent: PerClassGenerator) -> None:
    expected = latent.members["b"].sample([4, 5], truncation=0.5)
    assert torch.equal(latent.sample([4, 5], "b", truncation=0.5)["image"], expected["image"])


def test_latents_are_those_of_the_members(latent: PerClassGenerator) -> None:
    assert isinstance(latent, LatentGenerator)
    codes = latent.sample_latent(SEEDS, LABELS_OF_SEEDS)
    b = latent.members["b"]
    assert isinstance(b, LatentGenerator)
    rows = [row for row, label in enumerate(LABELS_OF_SEEDS) if label == 1]
    assert torch.equal(codes[rows], b.sample_latent(rows))
    assert_same(latent.decode(codes, LABELS_OF_SEEDS), latent.sample(SEEDS, LABELS_OF_SEEDS))


@pytest.mark.parametrize("mode", ["reconstruct", "perturb", "edit", "interpolate", "encode"])
def test_modes_are_those_of_the_members(latent: PerClassGenerator, mode: str) -> None:
    assert isinstance(latent, LatentGenerator)
    batch = latent.sample(SEEDS, LABELS_OF_SEEDS)

    def run(generator: LatentGenerator, rows: list[int], labels: list[int] | None) -> dict[str, Tensor]:
        own = {name: values[rows] for name, values in batch.items()}
        seeds = [100 + row for row in rows]
        if mode in ("encode", "reconstruct"):
            made = getattr(generator, mode)(own, labels, seeds)
            return made if isinstance(made, dict) else {"code": made}
        result: dict[str, Tensor] = getattr(generator, mode)(own, seeds, 0.7, labels)
        return result

    found = run(latent, SEEDS, LABELS_OF_SEEDS)
    for number, own in enumerate(latent.members.values()):
        assert isinstance(own, LatentGenerator)
        rows = [row for row, label in enumerate(LABELS_OF_SEEDS) if label == number]
        for name, values in run(own, rows, None).items():
            assert (found[name][rows].float() - values.float()).abs().max() < 1e-4, name


def test_spread_is_the_mean_of_the_members(latent: PerClassGenerator) -> None:
    assert isinstance(latent, LatentGenerator)
    spreads = [own.latent_spread for own in latent.members.values() if isinstance(own, LatentGenerator)]
    assert torch.allclose(latent.latent_spread, sum(spreads[1:], spreads[0]) / 3)


def test_codes_of_several_dimensions_are_refused() -> None:
    other = VAE(3, SHAPE, 1, len(LABELS), latent_dim=2, channels=CHANNELS)
    both = PerClassGenerator({"a": member(0), "b": VAEGenerator(other, toy_spec(SHAPE))})
    assert isinstance(both, LatentGenerator)
    assert both.sample([1, 2], ["a", "b"])["image"].shape == (2, 1, *SHAPE)
    with pytest.raises(ValueError, match=r"different dimensions: \[2, 4\]"):
        both.sample_latent([1, 2], ["a", "b"])
    with pytest.raises(ValueError, match=r"different dimensions: \[2, 4\]"):
        _ = both.latent_spread


def test_bad_codes_batches_and_seeds(latent: PerClassGenerator) -> None:
    assert isinstance(latent, LatentGenerator)
    batch = latent.sample([1, 2], "a")
    with pytest.raises(ValueError, match="z has shape"):
        latent.decode(torch.zeros(4), "a")
    with pytest.raises(ValueError, match="z has shape"):
        latent.decode(torch.zeros(2, 3), "a")
    with pytest.raises(ValueError, match=r"also needs \['mask'\]"):
        latent.encode({"image": batch["image"]}, "a")
    for mode in (latent.perturb, latent.edit):
        with pytest.raises(ValueError, match="3 seeds for 2 items"):
            mode(batch, [1, 2, 3], 1.0, "a")
    with pytest.raises(ValueError, match="1 seeds for 2 items"):
        latent.encode(batch, "a", seeds=[1])
    with pytest.raises(ValueError, match="needs class_label"):
        latent.encode(batch)


def test_without_a_common_encoder_there_is_none() -> None:
    both = PerClassGenerator({"a": member(0), "b": member(1, encodes=())})
    assert isinstance(both, LatentGenerator)
    with pytest.raises(ValueError, match="has no encoder"):
        both.encode(both.sample([1], "a"), "a")


def test_deepcopy_is_the_same_handle(generator: PerClassGenerator) -> None:
    assert copy.deepcopy([generator])[0] is generator


def test_pickle_carries_references(tmp_path: Path) -> None:
    made = PerClassGenerator({name: load_generator(write_toy_bundle(tmp_path / name, SHAPE)) for name in "ab"}, "both")
    made.batch_size = 5
    data = pickle.dumps(made)
    assert len(data) < 10_000
    again = pickle.loads(data)
    assert type(again) is type(made)
    assert again.batch_size == 5
    assert again.spec == made.spec
    assert again.spec.name == "both"
    assert_same(again.sample([1, 2], ["a", "b"]), made.sample([1, 2], ["a", "b"]))


def test_members_in_memory_survive_pickling(generator: PerClassGenerator) -> None:
    again: SampleGenerator = pickle.loads(pickle.dumps(generator))
    assert isinstance(again, LatentGenerator) == isinstance(generator, LatentGenerator)
    assert_same(again.sample(SEEDS, LABELS_OF_SEEDS), generator.sample(SEEDS, LABELS_OF_SEEDS))


def test_global_random_state_is_neither_moved_nor_read(generator: PerClassGenerator) -> None:
    results = []
    for seed in (1, 2):
        random.seed(seed)
        np.random.seed(seed)
        torch.manual_seed(seed)
        before = (random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist())  # type: ignore[index]
        results.append(generator.sample(SEEDS, LABELS_OF_SEEDS))
        after = (random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist())  # type: ignore[index]
        assert before == after
    assert torch.equal(results[0]["image"], results[1]["image"])


def test_monai_may_walk_through_it(generator: PerClassGenerator) -> None:
    expected = generator.sample(SEEDS, LABELS_OF_SEEDS)
    assert set_rnd({"data": generator}, 7) == 7
    assert set_rnd(generator, 7) == 7
    assert_same(generator.sample(SEEDS, LABELS_OF_SEEDS), expected)


def test_threads_agree(generator: PerClassGenerator) -> None:
    expected = generator.sample(SEEDS, LABELS_OF_SEEDS)
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda i: generator.sample([SEEDS[i]], LABELS_OF_SEEDS[i]), range(12)))
    for i, result in enumerate(results):
        assert_same(result, {name: values[i : i + 1] for name, values in expected.items()})


def test_a_pool_of_it_has_its_classes(latent: PerClassGenerator, tmp_path: Path) -> None:
    pool = build_pool(latent, {"c": 2, "a": 1}, tmp_path / "pool", progress=False)
    assert isinstance(pool, SamplePool)
    assert pool.classes == [2, 2, 0]


@pytest.mark.parametrize("mode", ["sample", "edit"])
def test_in_a_transform(latent: PerClassGenerator, mode: Any) -> None:
    transform = RandGenerativeSampled(("image", "mask"), latent, prob=1.0, mode=mode, class_key="class")
    item = {name: values[0] for name, values in latent.sample([3], "b").items()}
    made = transform({**item, "class": "b"})
    assert made["is_synthetic"]
    assert made["image"].shape == (1, *SHAPE)


def test_preprocessing_is_the_members(latent: PerClassGenerator) -> None:
    volume = torch.rand(1, 10, 9, 8)
    item = latent.preprocessing(("image", "mask"), load=False)({"image": volume, "mask": torch.zeros(1, 10, 9, 8)})
    assert item["image"].shape == (1, *SHAPE)


def test_class_ids_as_keys_are_sorted() -> None:
    first, second = member(0), member(1)
    both = PerClassGenerator({1: second, 0: first})
    assert both.spec.classes == {0: "0", 1: "1"}
    assert both.members == {"0": first, "1": second}
    assert torch.equal(both.sample([3], 1)["image"], second.sample([3])["image"])


@pytest.mark.parametrize(
    ("members", "text"),
    [
        ({}, "one generator at least"),
        ([], "one generator at least"),
        ({1: member(0), 2: member(1)}, r"classes are \[1, 2\], allowed: names, or the class ids 0 to 1"),
        ({0: member(0), "b": member(1)}, "allowed: names, or the class ids"),
        ({False: member(0)}, "allowed: names, or the class ids"),
        ({"a": "toy"}, "the member of class 'a' is str"),
        ({"a": toy_generator(SHAPE, classes=("x", "y"))}, "has classes of its own"),
        ({"a": member(0), "b": toy_generator((8, 8, 16))}, "differ in spatial_shape"),
    ],
)
def test_bad_members(members: Any, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        PerClassGenerator(members)


class _Elsewhere(SampleGenerator):
    """On another device; makes nothing."""

    def __init__(self, spec: GeneratorSpec) -> None:
        super().__init__(spec, "meta")

    def _generate(self, seeds: list[int], classes: list[int] | None, truncation: float) -> dict[str, Tensor]:
        raise NotImplementedError


def test_members_on_two_devices_are_refused() -> None:
    with pytest.raises(ValueError, match="on different devices"):
        PerClassGenerator({"a": member(0), "b": _Elsewhere(toy_spec(SHAPE))})
