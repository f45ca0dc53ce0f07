# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""The transforms inside MONAI: data sets, loaders, caches, inverse, lazy resampling, configs."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import monai.data
import pytest
import torch
import torch.utils.data
from monai.bundle import ConfigParser
from monai.data import CacheDataset, Dataset, PersistentDataset, SmartCacheDataset, decollate_batch, list_data_collate
from monai.data.utils import pickle_hashing
from monai.transforms import (
    Compose,
    Invertd,
    RandFlipd,
    RandRotate90d,
    SpatialPadd,
    Transform,
)
from torch.utils.data import ConcatDataset

import monai_genaug  # noqa: F401  short names in configs
from monai_genaug.generators import LatentGenerator
from monai_genaug.transforms import RandGenerativeSampled, ReplaceWithSyntheticd, assign_ids
from tests.toy import write_toy_bundle

KEYS = ("image", "label")
Chain = list[Callable[[Any], Any]]
Files = list[dict[str, str]]


class CountCalls(Transform):
    """Writes a line to a file per call, in whatever process."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __call__(self, data: Any) -> Any:
        with self.path.open("a") as file:
            file.write("x")
        return data

    @property
    def calls(self) -> int:
        return len(self.path.read_text()) if self.path.exists() else 0


def make_dataset(kind: str, files: Files, chain: Chain, folder: Path) -> Any:
    def compose() -> Compose:
        return Compose(chain).set_random_state(0)

    if kind == "Dataset":
        return Dataset(files, compose())
    if kind == "CacheDataset":
        return CacheDataset(files, compose(), progress=False)
    if kind == "SmartCacheDataset":
        return SmartCacheDataset(files, compose(), replace_rate=0.5, cache_num=2, shuffle=False, progress=False)
    if kind == "PersistentDataset":
        return PersistentDataset(files, compose(), folder, hash_transform=pickle_hashing)
    return ConcatDataset([Dataset(files[:2], compose()), Dataset(files[2:], compose())])


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("loader", [monai.data.DataLoader, torch.utils.data.DataLoader])
@pytest.mark.parametrize("kind", ["Dataset", "CacheDataset", "SmartCacheDataset", "PersistentDataset", "ConcatDataset"])
def test_real_volumes_through_every_dataset(
    kind: str, loader: Any, workers: int, generator: LatentGenerator, files: Files, loading: Chain, tmp_path: Path
) -> None:
    """The fixed replacement, whose result is cached, and the random one, which is not, in one chain."""
    fixed = ReplaceWithSyntheticd(KEYS, generator, "id", fraction=0.5, seed=2)
    identified = assign_ids(files, Path(files[0]["image"]).parent)
    always = {item["id"]: fixed(Compose(loading)(item))["is_synthetic"] for item in identified}
    assert set(list(always.values())[:2]) == {False, True}  # also in the window of the smart cache
    chain = [*loading, fixed, RandGenerativeSampled(KEYS, generator, prob=0.5), RandFlipd(KEYS, prob=0.5)]
    dataset = make_dataset(kind, identified, chain, tmp_path)
    keep = torch.Generator().manual_seed(0)
    batches = loader(
        dataset,
        batch_size=4,
        num_workers=workers,
        persistent_workers=workers > 0,
        generator=keep,
        collate_fn=list_data_collate,
    )
    flags: set[tuple[bool, bool]] = set()
    for _ in range(6):
        (batch,) = list(batches)
        assert batch["image"].shape == batch["label"].shape == (len(dataset), 1, 32, 40, 24)
        assert batch["image"].dtype == torch.float32
        assert batch["label"].dtype == torch.uint8
        flags |= {(always[name], flag) for name, flag in zip(batch["id"], batch["is_synthetic"].tolist(), strict=True)}
    assert flags == {(True, True), (False, True), (False, False)}


def test_smart_cache_replaces_under_way(generator: LatentGenerator, files: Files, loading: Chain) -> None:
    chain = Compose([*loading, RandGenerativeSampled(KEYS, generator, prob=1.0)])
    dataset = SmartCacheDataset(files, chain, replace_rate=0.5, cache_num=2, shuffle=False, progress=False)
    dataset.start()
    names, seeds = set(), []
    for _ in range(4):
        for item in dataset:
            names.add(item["image"].meta["filename_or_obj"])
            seeds.append(item["image"].meta["synthetic_seed"])
        dataset.update_cache()
    dataset.shutdown()
    assert names == {file["image"] for file in files}
    assert len(set(seeds)) == 8


def test_torch_collate(generator: LatentGenerator, files: Files, loading: Chain) -> None:
    dataset = Dataset(files, Compose([*loading, RandGenerativeSampled(KEYS, generator, prob=1.0)]))
    batch = next(iter(torch.utils.data.DataLoader(dataset, batch_size=2, num_workers=2)))
    assert batch["image"].shape == (2, 1, 32, 40, 24)
    assert batch["is_synthetic"].tolist() == [True, True]


def test_caches_end_before_the_random_and_after_the_fixed_one(
    generator: LatentGenerator, files: Files, loading: Chain, tmp_path: Path
) -> None:
    counts = [CountCalls(tmp_path / name) for name in ("loaded", "random")]
    chain = [*loading, counts[0], RandGenerativeSampled(KEYS, generator, prob=1.0), counts[1]]
    dataset = CacheDataset(files, Compose(chain), progress=False)
    epochs = [[item["image"].meta["synthetic_seed"] for item in dataset] for _ in range(2)]
    assert len({*epochs[0], *epochs[1]}) == 8
    assert [count.calls for count in counts] == [4, 8]


@pytest.mark.parametrize("track_meta", [True, False])
def test_persistent_dataset_computes_the_fixed_one_once(
    track_meta: bool, generator: LatentGenerator, files: Files, loading: Chain, tmp_path: Path
) -> None:
    counter = CountCalls(tmp_path / "calls")
    identified = assign_ids(files, Path(files[0]["image"]).parent)
    runs = []
    # MONAI's reader remembers the last file that it read, and pickle_hashing sees that: each data set has its own
    first, second, third = (copy.deepcopy(list(loading)) for _ in range(3))
    for load in (first, second):
        replace = ReplaceWithSyntheticd(KEYS, generator, "id", fraction=0.5)
        dataset = PersistentDataset(
            identified,
            Compose([*load, counter, replace]),
            tmp_path / "cache",
            hash_transform=pickle_hashing,
            track_meta=track_meta,
            weights_only=not track_meta,
        )
        for _ in range(2):
            runs.append([(item["image"].sum().item(), item["is_synthetic"]) for item in dataset])
    assert runs[0] == runs[1] == runs[2] == runs[3]
    assert counter.calls == 4
    other = ReplaceWithSyntheticd(KEYS, generator, "id", fraction=0.5, seed=1)
    dataset = PersistentDataset(
        identified, Compose([*third, counter, other]), tmp_path / "cache", hash_transform=pickle_hashing
    )
    assert len([dataset[k] for k in range(4)]) == 4
    assert counter.calls == 8, "another seed took the old cache"


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_real_and_synthetic_collate_in_both_orders(
    order: tuple[int, int], generator: LatentGenerator, real: dict[str, Any]
) -> None:
    items = [RandGenerativeSampled(KEYS, generator, prob=prob)(real) for prob in (0.0, 1.0)]
    batch = list_data_collate([items[k] for k in order])
    assert batch["is_synthetic"].tolist() == [bool(k) for k in order]
    for position, k in enumerate(order):
        assert torch.equal(batch["image"][position].as_tensor(), items[k]["image"].as_tensor())
    separate = decollate_batch(batch)
    assert [bool(item["is_synthetic"]) for item in separate] == [bool(k) for k in order]


@pytest.mark.parametrize("kind", ["random", "fixed"])
def test_inverse_of_a_mixed_batch(kind: str, generator: LatentGenerator, real: dict[str, Any]) -> None:
    """Steps before and after the replacement are undone, in the real and in the generated item alike."""
    items, expected = [], []
    random, fixed = RandGenerativeSampled(KEYS, generator), ReplaceWithSyntheticd(KEYS, generator, "id")
    replace = random if kind == "random" else fixed
    chain = Compose([SpatialPadd(KEYS, (36, 44, 28)), replace, RandFlipd(KEYS, prob=1.0, spatial_axis=0)])
    for prob in (0.0, 1.0):
        random.prob = fixed.fraction = prob
        items.append(chain({**real, "id": "a"}))
        seed = items[-1]["image"].meta.get("synthetic_seed")
        assert (seed is not None) == items[-1]["is_synthetic"] == bool(prob)
        sample = generator.sample([seed or 0])
        expected.append({"image": sample["image"][0], "label": sample["mask"][0]} if prob else real)
    inverted = [Invertd(KEYS, chain, orig_keys=KEYS)(item) for item in decollate_batch(list_data_collate(items))]
    for back, item in zip(inverted, expected, strict=True):
        for key in KEYS:
            undone, original = torch.as_tensor(back[key]).float(), torch.as_tensor(item[key]).float()
            different = (undone - original).abs() > 1e-4
            assert different.float().mean() <= (0 if key == "image" else 1e-3)


@pytest.mark.parametrize("kind", ["random", "fixed"])
def test_lazy_compose(kind: str, generator: LatentGenerator, real: dict[str, Any]) -> None:
    results = []
    real["id"] = "a"
    for lazy in (True, False):
        random, fixed = RandGenerativeSampled(KEYS, generator, prob=1.0), ReplaceWithSyntheticd(KEYS, generator, "id")
        chain = Compose(
            [
                SpatialPadd(KEYS, (36, 44, 28)),
                random if kind == "random" else fixed,
                RandRotate90d(KEYS, prob=1.0, spatial_axes=(0, 1)),
            ],
            lazy=lazy,
        )
        chain.set_random_state(5)
        results.append(chain(real))
    assert results[0]["is_synthetic"]
    assert not results[0]["image"].pending_operations
    assert torch.allclose(results[0]["image"].as_tensor(), results[1]["image"].as_tensor(), atol=1e-5)
    assert results[0]["image"].meta["synthetic_seed"] == results[1]["image"].meta["synthetic_seed"]


JSON_CONFIG = """{"chain": {"_target_": "Compose", "transforms": [
    {"_target_": "RandGenerativeSampled", "keys": ["image", "label"], "generator": "%s", "prob": 1.0},
    {"_target_": "RandFlipd", "keys": ["image", "label"], "prob": 0.5}]},
  "replace": {"_target_": "ReplaceWithSyntheticd", "keys": ["image", "label"], "generator": "%s", "id_key": "id"}}"""
YAML_CONFIG = """
chain:
  _target_: Compose
  transforms:
  - {_target_: RandGenerativeSampled, keys: [image, label], generator: "%s", prob: 1.0}
  - {_target_: RandFlipd, keys: [image, label], prob: 0.5}
replace: {_target_: ReplaceWithSyntheticd, keys: [image, label], generator: "%s", id_key: id}
"""


@pytest.mark.parametrize(("suffix", "text"), [("json", JSON_CONFIG), ("yaml", YAML_CONFIG)])
def test_configs_find_the_transforms_by_short_name(
    suffix: str, text: str, real: dict[str, Any], tmp_path: Path
) -> None:
    bundle = write_toy_bundle(tmp_path / "toy", (32, 40, 24))
    path = tmp_path / f"config.{suffix}"
    path.write_text(text % (bundle, bundle))
    parser = ConfigParser()
    parser.read_config(path)
    chain, replace = parser.get_parsed_content("chain"), parser.get_parsed_content("replace")
    assert isinstance(chain.transforms[0], RandGenerativeSampled)
    assert chain(real)["is_synthetic"]
    assert isinstance(replace, ReplaceWithSyntheticd)
    assert replace({**real, "id": "a"})["is_synthetic"]


def test_transforms_with_a_bundle_are_small_when_pickled(tmp_path: Path, real: dict[str, Any]) -> None:
    import pickle

    bundle = write_toy_bundle(tmp_path / "toy", (32, 40, 24))
    transform = RandGenerativeSampled(KEYS, bundle, prob=1.0)
    transform(real)
    assert len(pickle.dumps(transform)) < 10_000
    assert pickle.loads(pickle.dumps(transform))(real)["is_synthetic"]
