# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import copy
import gc
import os
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from monai.data import CacheDataset, DataLoader, Dataset, MetaTensor, PersistentDataset, set_track_meta
from monai.transforms import Compose, MapTransform, RandFlipd, RandGaussianNoised, ScaleIntensityd
from torch.utils.data import ConcatDataset

from monai_genaug.data import SyntheticDataset, mix_concatenate, mix_interleave, plan_counts, sample_weights
from monai_genaug.generators import VAEGenerator, build_pool, derive_seed
from monai_genaug.transforms import RandGenerativeSampled
from tests.ranks import run_ranks
from tests.toy import toy_generator, toy_network, toy_spec, write_toy_bundle

SHAPE = (8, 8, 8)
CLASSES = ("malignant", "benign")
PLAN = {"malignant": 3, "benign": 5}


@pytest.fixture(scope="module")
def paired() -> Any:
    return toy_generator(SHAPE)


@pytest.fixture(scope="module")
def conditional() -> Any:
    return toy_generator((8, 8), mask=False, classes=CLASSES)


@pytest.fixture(scope="module")
def pool_folder(tmp_path_factory: pytest.TempPathFactory, paired: Any) -> Path:
    folder = tmp_path_factory.mktemp("pools") / "paired"
    build_pool(paired, 8, folder, progress=False)
    return folder


def images(loader: Any) -> torch.Tensor:
    return torch.cat([batch["image"].as_subclass(torch.Tensor) for batch in loader])


def test_items_are_what_the_generator_makes_from_the_items_seeds(paired: Any) -> None:
    data = SyntheticDataset(paired, 5, seed=7)
    made = paired.sample([data[i]["seed"] for i in range(5)])
    assert len(data) == 5
    assert len({data[i]["seed"] for i in range(5)}) == 5
    for i in range(5):
        item = data[i]
        assert list(item) == ["image", "label", "is_synthetic", "seed", "generator"]
        assert item["seed"] == derive_seed("pool", 7, i)
        torch.testing.assert_close(item["image"].as_subclass(torch.Tensor), made["image"][i], atol=1e-4, rtol=0)
        assert torch.equal(item["label"].as_subclass(torch.Tensor), made["mask"][i])
        assert item["is_synthetic"] is True
        assert item["generator"] == "toy"


def test_a_seed_names_the_same_items_and_another_one_others(paired: Any) -> None:
    one, same, other = (SyntheticDataset(paired, 3, seed=seed) for seed in (1, 1, 2))
    assert all(torch.equal(one[i]["image"], same[i]["image"]) for i in range(3))
    assert not any(torch.equal(one[i]["image"], other[i]["image"]) for i in range(3))


def test_classes_in_the_order_of_the_plan(conditional: Any) -> None:
    data = SyntheticDataset(conditional, PLAN)
    assert [data[i]["label"] for i in range(len(data))] == [0, 0, 0, 1, 1, 1, 1, 1]
    assert data.labels == (0, 0, 0, 1, 1, 1, 1, 1)
    for item in (data[i] for i in range(8)):  # the toy's classes lie in different halves of the value range
        assert (float(item["image"].mean()) > 0.5) == (item["label"] == 1)


def test_class_map_writes_classes_as_the_real_data_do(conditional: Any) -> None:
    labels = ["B"] * 4 + ["M"] * 2
    plan = plan_counts(labels, "balance", 5)
    data = SyntheticDataset(conditional, plan, class_map={"M": "malignant", "B": "benign"})
    assert data.labels == ("B", "M", "M", "M")
    for item in (data[i] for i in range(4)):
        assert (float(item["image"].mean()) > 0.5) == (item["label"] == "B")
    swapped = SyntheticDataset(conditional, {1: 2, 0: 1}, class_map={np.int64(1): "malignant", 0: 1})
    assert swapped.labels == (1, 1, 0)
    assert float(swapped[0]["image"].mean()) < 0.5 < float(swapped[2]["image"].mean())


def test_keys_and_class_key(conditional: Any) -> None:
    data = SyntheticDataset(conditional, PLAN, keys="scan", class_key="diagnosis")
    assert list(data[0]) == ["scan", "diagnosis", "is_synthetic", "seed", "generator"]
    both = SyntheticDataset(toy_generator(SHAPE, classes=CLASSES), {0: 1, 1: 1}, ("t1", "seg"), class_key="kind")
    assert list(both[1])[:3] == ["t1", "seg", "kind"]
    assert both[1]["kind"] == 1


def test_the_affine_says_spacing_and_orientation() -> None:
    spec = toy_spec(SHAPE, spacing=(2.0, 1.0, 0.5), orientation="LSP")
    generator = type(toy_generator(SHAPE))(toy_network(SHAPE), spec)
    image = SyntheticDataset(generator, 1)[0]["image"]
    assert isinstance(image, MetaTensor)
    assert image.affine.tolist() == [[-2, 0, 0, 0], [0, 0, -0.5, 0], [0, 1, 0, 0], [0, 0, 0, 1]]
    assert image.pixdim.tolist() == [2.0, 1.0, 0.5]


def test_a_flat_image_of_any_plane_has_an_affine_that_can_be_inverted() -> None:
    spec = toy_spec((8, 8), spacing=(2.0, 3.0), orientation="RS")
    generator = type(toy_generator((8, 8)))(toy_network((8, 8)), spec)
    affine = SyntheticDataset(generator, 1)[0]["image"].affine
    assert affine.tolist() == [[2, 0, 0, 0], [0, 0, 1, 0], [0, 3, 0, 0], [0, 0, 0, 1]]


@pytest.mark.parametrize(("shape", "orientation"), [(SHAPE, "LSP"), ((8, 8), "RS")])
def test_items_fit_the_generator_that_made_them(shape: tuple[int, ...], orientation: str) -> None:
    spec = toy_spec(shape, spacing=(2.0, 3.0, 0.5)[: len(shape)], orientation=orientation)
    generator = type(toy_generator(shape))(toy_network(shape), spec)
    edited = RandGenerativeSampled(("image", "label"), generator, prob=1.0, mode="edit", strength=0.0)
    item = SyntheticDataset(generator, 1)[0]
    assert torch.equal(edited(item)["image"], item["image"])


def test_items_have_the_meta_data_of_a_meta_tensor_and_share_none(paired: Any, pool_folder: Path) -> None:
    data = SyntheticDataset(paired, 8, cache_dir=pool_folder)
    one, two = data[0]["image"], data[1]["image"]
    expected = MetaTensor(data.pool[1]["image"], affine=two.affine.clone())
    assert vars(two).keys() == vars(expected).keys()
    assert two.meta.keys() == expected.meta.keys()
    assert (two.spatial_ndim, two.is_batch, two.pending_operations) == (3, False, [])
    affine = two.affine.clone()
    one.affine.mul_(2.0)
    one.meta["note"] = 1
    one.push_applied_operation({})
    for other in (two, data[0]["image"], data[0]["label"]):
        assert torch.equal(other.affine, affine)
        assert other.meta.keys() == expected.meta.keys()
        assert other.applied_operations == []


@pytest.fixture
def no_meta() -> Iterator[None]:
    set_track_meta(False)
    yield
    set_track_meta(True)


def test_plain_tensors_where_metadata_are_off(paired: Any, pool_folder: Path, no_meta: None) -> None:
    item = SyntheticDataset(paired, 8, cache_dir=pool_folder)[0]
    assert type(item["image"]) is type(item["label"]) is torch.Tensor


class WriteZeros(MapTransform):
    """Writes into what it gets, as some transforms do."""

    def __call__(self, data: Any) -> Any:
        for key in self.key_iterator(data):
            data[key].zero_()
        return data


def test_items_are_copies(paired: Any, pool_folder: Path) -> None:
    data = SyntheticDataset(paired, 8, transform=WriteZeros(["image", "label"]), cache_dir=pool_folder)
    plain = SyntheticDataset(paired, 8, cache_dir=pool_folder)
    assert float(data[2]["image"].sum()) == 0
    assert float(plain[2]["image"].sum()) > 0
    assert float(data.pool[2]["image"].sum()) > 0
    one, two = plain[2], plain[2]
    one["image"].zero_()
    assert float(two["image"].sum()) > 0


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("batch_size", [1, 3, 8])
@pytest.mark.parametrize("loader", [DataLoader, torch.utils.data.DataLoader])
def test_items_are_the_same_for_any_batch_size_and_number_of_workers(
    paired: Any, pool_folder: Path, loader: Any, batch_size: int, workers: int
) -> None:
    data = SyntheticDataset(paired, 8, cache_dir=pool_folder)
    expected = torch.stack([data[i]["image"].as_subclass(torch.Tensor) for i in range(8)])
    assert torch.equal(images(loader(data, batch_size=batch_size, num_workers=workers)), expected)


def test_spawned_workers_read_the_same_file(paired: Any) -> None:
    data = SyntheticDataset(paired, 4)
    expected = images(DataLoader(data, batch_size=2))
    loader = DataLoader(data, batch_size=2, num_workers=1, multiprocessing_context="spawn")
    assert torch.equal(images(loader), expected)
    assert data.pool.folder.is_dir()


class Noting(VAEGenerator):
    """Notes which rank made how many samples at once."""

    def __init__(self, log: Path) -> None:
        super().__init__(toy_network(SHAPE), toy_spec(SHAPE))
        self.log = log

    def _generate(self, seeds: list[int], classes: list[int] | None, truncation: float) -> dict[str, torch.Tensor]:
        with self.log.open("a") as file:
            file.write(f"{torch.distributed.get_rank()}:{len(seeds)}\n")
        return super()._generate(seeds, classes, truncation)


def build_as_rank(rank: int, root: Path) -> None:
    """Both ranks use one folder, and write down what they read; then one makes a data set alone."""
    data = SyntheticDataset(Noting(root / "makers"), 1030, cache_dir=root / "pool")
    torch.save(images(DataLoader(data, batch_size=64)), root / f"rank{rank}.pt")
    if rank == 1:  # needs no other rank
        assert len(SyntheticDataset(toy_generator(SHAPE), 2)) == 2


def test_two_ranks_share_a_folder(tmp_path: Path, paired: Any) -> None:
    run_ranks(build_as_rank, tmp_path)
    calls = (tmp_path / "makers").read_text().split()
    assert sorted(set(calls)) == ["0:32", "1:6"]  # the first block, of 1024, and the second
    expected = images(DataLoader(SyntheticDataset(paired, 1030), batch_size=64))
    for rank in range(2):
        assert torch.equal(torch.load(tmp_path / f"rank{rank}.pt", weights_only=True), expected)


def test_persistent_workers_over_epochs(paired: Any) -> None:
    data = SyntheticDataset(paired, 6)
    loader = DataLoader(data, batch_size=2, num_workers=2, persistent_workers=True)
    first = images(loader)
    assert all(torch.equal(images(loader), first) for _ in range(2))
    del loader
    assert data.pool.folder.is_dir()
    assert torch.equal(data[5]["image"].as_subclass(torch.Tensor), first[5])


@pytest.mark.parametrize("loader", [DataLoader, torch.utils.data.DataLoader])
@pytest.mark.parametrize("workers", [0, 2])
def test_refreshed_items_are_renewed_under_workers_that_live_on(paired: Any, loader: Any, workers: int) -> None:
    data = SyntheticDataset(paired, 6, seed=3, refreshed=True)
    batches = loader(data, batch_size=2, num_workers=workers, persistent_workers=workers > 0)
    for generation in range(4):
        data.pool.switch_to(generation)
        read = list(batches)
        seeds = [int(seed) for batch in read for seed in batch["seed"]]
        of_generation = derive_seed("generation", 3, generation) if generation else 3
        assert seeds == [derive_seed("pool", of_generation, i) for i in range(6)]
        expected = paired.sample(seeds)["image"]
        torch.testing.assert_close(images(read), expected, rtol=0, atol=1e-4)


def test_a_refreshed_data_set_begins_like_a_plain_one(tmp_path: Path, conditional: Any) -> None:
    arguments: dict[str, Any] = {"generator": conditional, "plan": PLAN, "transform": Draw("image"), "dtype": "uint8"}
    plain = SyntheticDataset(**arguments, cache_dir=tmp_path / "plain")
    refreshed = SyntheticDataset(**arguments, cache_dir=tmp_path / "refreshed", refreshed=True)
    assert refreshed.labels == plain.labels
    assert plain.pool.record.dtype == refreshed.pool.record.dtype == "uint8"

    def draws(data: SyntheticDataset) -> list[float]:
        data.set_random_state(1)
        return [float(data[i]["image"]) for i in range(8)]

    first = draws(plain)
    assert draws(refreshed) == first
    refreshed.pool.switch_to(1)
    assert draws(refreshed) == first  # the augmentation stays the same in all generations
    again = SyntheticDataset(**arguments, cache_dir=tmp_path / "refreshed", refreshed=True)
    assert [again[i]["seed"] for i in range(8)] == [plain[i]["seed"] for i in range(8)]


def test_the_temporary_folder_of_a_refreshed_data_set_goes_while_a_pool_is_being_built(paired: Any) -> None:
    data = SyntheticDataset(paired, 2, refreshed=True)
    place = data.pool.folder.parent
    data.pool.prepare(1)
    assert place.is_dir()
    del data
    gc.collect()
    assert not place.exists()


def test_images_are_stored_as_asked_for(tmp_path: Path, paired: Any) -> None:
    data = SyntheticDataset(paired, 4, dtype="uint8", cache_dir=tmp_path / "pool")
    plain = SyntheticDataset(paired, 4)
    for i in range(4):
        assert data[i]["image"].dtype == torch.float32
        torch.testing.assert_close(data[i]["image"], plain[i]["image"], rtol=0, atol=0.51 / 255)
        assert torch.equal(data[i]["label"], plain[i]["label"])
    with pytest.raises(ValueError, match="float64"):
        SyntheticDataset(paired, 4, dtype="float64")


def test_pickling_carries_no_samples(paired: Any) -> None:
    data = SyntheticDataset(paired, 8, transform=RandFlipd("image", prob=0.5))
    assert len(pickle.dumps(data)) < 30_000
    again = pickle.loads(pickle.dumps(data))
    again.set_random_state(0)
    data.set_random_state(0)
    assert all(torch.equal(again[i]["image"], data[i]["image"]) for i in range(8))


def test_the_temporary_folder_goes_with_the_last_reference(paired: Any) -> None:
    data = SyntheticDataset(paired, 2)
    folder = data.pool.folder
    copied = copy.deepcopy(data)
    pickle.loads(pickle.dumps(data))
    del data
    gc.collect()
    assert folder.is_dir()
    assert copied[1]["is_synthetic"]
    del copied
    gc.collect()
    assert not folder.exists()
    assert not folder.parent.exists()


def test_a_forked_process_that_drops_its_reference_removes_nothing(paired: Any) -> None:
    data = SyntheticDataset(paired, 2)
    folder = data.pool.folder
    child = os.fork()
    if child == 0:
        del data
        gc.collect()
        os._exit(0 if folder.is_dir() else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert folder.is_dir()


def test_a_cache_folder_is_opened_again_and_kept(tmp_path: Path, paired: Any) -> None:
    folder = tmp_path / "pool"
    first = SyntheticDataset(paired, 4, cache_dir=folder)
    expected = images(DataLoader(first, batch_size=2))
    written = (folder / "image.npy").stat().st_mtime_ns
    del first
    gc.collect()
    assert torch.equal(images(DataLoader(SyntheticDataset(paired, 4, cache_dir=folder), batch_size=2)), expected)
    assert (folder / "image.npy").stat().st_mtime_ns == written
    with pytest.raises(ValueError, match="another pool"):
        SyntheticDataset(paired, 5, cache_dir=folder)


def test_a_bundle_by_its_folder(tmp_path: Path) -> None:
    data = SyntheticDataset(write_toy_bundle(tmp_path / "my_bundle", SHAPE), 2)
    assert data[0]["generator"] == "my_bundle"


class Draw(RandGaussianNoised):
    """Replaces the image by one number from the transform's own random state."""

    def __call__(self, data: Any, lazy: Any = None) -> Any:
        return {**data, "image": torch.full((1,), self.R.rand())}


@pytest.mark.parametrize("workers", [0, 2])
def test_random_transforms_are_reproducible_and_differ_between_workers(
    paired: Any, pool_folder: Path, workers: int
) -> None:
    data = SyntheticDataset(paired, 8, transform=Draw("image"), cache_dir=pool_folder)

    def draws() -> list[float]:
        torch.manual_seed(1)
        return images(DataLoader(data, batch_size=2, num_workers=workers)).flatten().tolist()

    assert len(set(draws())) == 8
    assert draws() == draws()


def test_two_of_them_in_a_plain_concatenation_draw_differently(paired: Any) -> None:
    members = [SyntheticDataset(paired, 4, transform=Draw("image"), seed=seed) for seed in (0, 1)]
    assert len(set(images(DataLoader(ConcatDataset(members), batch_size=2)).flatten().tolist())) == 8


def test_setting_the_random_state_by_hand(paired: Any, pool_folder: Path) -> None:
    data = SyntheticDataset(paired, 8, transform=Compose([Draw("image")]), cache_dir=pool_folder)

    def draws() -> list[float]:
        return [float(data[i]["image"]) for i in range(8)]

    assert data.set_random_state(3) is data
    first = draws()
    assert draws() != first
    assert data.set_random_state(seed=3) is data
    assert draws() == first
    data.set_random_state(state=np.random.RandomState(0))
    second = draws()
    assert second != first
    data.set_random_state(state=np.random.RandomState(0))
    assert draws() == second


def test_the_global_random_states_are_left_alone(paired: Any) -> None:
    before = torch.get_rng_state(), np.random.get_state()[1].tobytes()
    SyntheticDataset(paired, 3)[0]
    assert torch.equal(before[0], torch.get_rng_state())
    assert before[1] == np.random.get_state()[1].tobytes()


def test_in_a_cache_dataset_and_a_concatenation(paired: Any, pool_folder: Path) -> None:
    data = SyntheticDataset(paired, 8, cache_dir=pool_folder)
    scale = ScaleIntensityd("image", minv=0.0, maxv=2.0)
    cached = CacheDataset(data, [scale, RandFlipd("image", prob=0.0)], progress=False)
    expected = torch.stack([scale(dict(data[i]))["image"].as_subclass(torch.Tensor) for i in range(8)])
    assert torch.equal(images(DataLoader(cached, batch_size=4, num_workers=2)), expected)
    both = ConcatDataset([cached, SyntheticDataset(paired, 8, transform=scale, cache_dir=pool_folder)])
    assert torch.equal(images(DataLoader(both, batch_size=4)), torch.cat([expected, expected]))


class CountCalls(MapTransform):
    """Appends a line to a file whenever it runs."""

    def __init__(self, keys: Any, path: Path) -> None:
        super().__init__(keys)
        self.path = path

    def __call__(self, data: Any) -> Any:
        with self.path.open("a") as file:
            file.write("x")
        return data


def hash_of_origin(item: dict[str, Any]) -> bytes:
    return f"{item['generator']}-{item['seed']}".encode()


def test_a_persistent_dataset_computes_each_item_once(tmp_path: Path, paired: Any, pool_folder: Path) -> None:
    data = SyntheticDataset(paired, 8, cache_dir=pool_folder)
    calls = tmp_path / "calls"
    for _ in range(2):  # a second data set over the same cache, too
        kept = PersistentDataset(data, CountCalls("image", calls), tmp_path / "cache", hash_func=hash_of_origin)
        for _ in range(2):
            item = kept[3]
            assert torch.equal(item["image"].as_subclass(torch.Tensor), data[3]["image"].as_subclass(torch.Tensor))
            assert item["seed"] == data[3]["seed"]
    assert calls.read_text() == "x"


def test_mixed_with_real_volumes(anatomical: np.ndarray, paired: Any, pool_folder: Path) -> None:
    chain = Compose([ScaleIntensityd("image"), RandFlipd(["image", "label"], prob=0.5)])
    volume = MetaTensor(anatomical[None, 12:20, 12:20, 8:16].copy(), meta={"filename_or_obj": "anatomical.nii"})
    real = Dataset(
        [{"image": volume.clone(), "label": (volume > 100).float(), "subject": f"s{i}"} for i in range(4)], chain
    )
    data = SyntheticDataset(paired, 8, transform=chain, cache_dir=pool_folder)
    for mixed in (mix_concatenate(real, data), mix_interleave(real, data, 2.0)):
        assert len(mixed) == 12
        for shuffle, workers in ((False, 0), (True, 2)):
            batches = list(DataLoader(mixed, batch_size=3, shuffle=shuffle, num_workers=workers))
            assert sum(int(batch["is_synthetic"].sum()) for batch in batches) == 8
            assert all(set(batch) == {"image", "label", "is_synthetic"} for batch in batches)
            assert all(batch["label"].dtype == torch.float32 for batch in batches)
            assert all(isinstance(batch["image"], MetaTensor) for batch in batches)


def test_mixed_with_classified_images(conditional: Any) -> None:
    labels = np.array([[0]] * 2 + [[1]] * 6, dtype=np.uint8)  # the way MedMNIST stores them
    real = [{"image": np.zeros((1, 8, 8), np.float32), "label": label} for label in labels]
    data = SyntheticDataset(conditional, plan_counts(labels, "balance"))
    mixed = mix_concatenate(real, data)
    weights = sample_weights([*labels, *(data.labels or ())], [False] * 8 + [True] * 4, synthetic_weight=0.5)
    assert weights.shape == (len(mixed),)
    assert mixed[9]["label"].dtype == np.uint8
    assert mixed[9]["label"].tolist() == [0]
    assert isinstance(mixed[9]["image"], np.ndarray)
    batch = next(iter(DataLoader(mixed, batch_size=4, sampler=[8, 0, 1, 11])))
    assert batch["label"].tolist() == [[0], [0], [0], [0]]
    assert batch["is_synthetic"].tolist() == [True, False, False, True]


@pytest.mark.parametrize("refreshed", [False, True])
@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"plan": {"malignant": -1, "benign": 1}}, "-1 is no number of items"),
        ({"plan": {"normal": 1}}, "'normal' is unknown .* allowed: 0 \\('malignant'\\), 1 \\('benign'\\)"),
        ({"plan": {7: 1}}, "class 7 is unknown"),
        ({"plan": {}}, "has no items"),
        ({"plan": {0: 0}}, "has no items"),
        ({"plan": 5}, "plan is 5"),
        ({"plan": {0: 1, "malignant": 1}}, "names a class twice"),
        ({"keys": ("image", "mask")}, r"keys are \('image', 'mask'\), generator 'toy' needs one for each"),
        ({"keys": "seed"}, "none of"),
        ({"class_key": "image"}, "class_key is 'image', which is taken"),
        ({"class_key": "is_synthetic"}, "class_key is 'is_synthetic', which is taken"),
        ({"truncation": 2.0}, "truncation is 2.0"),
        ({"seed": -1}, "seed -1 is outside"),
        ({"class_map": {"M": "malignant"}}, r"plan names \['malignant', 'benign'\], class_map .* has \['M'\]"),
        ({"class_map": {"M": "cancer"}}, "'cancer' is unknown"),
        ({"class_map": {"M": 0, "B": "malignant"}}, "gives one class of the generator two labels"),
    ],
)  # fmt: skip
def test_bad_arguments_are_named_and_write_nothing(
    tmp_path: Path, conditional: Any, options: dict[str, Any], words: str, refreshed: bool
) -> None:
    arguments = {"plan": PLAN, "cache_dir": tmp_path / "pool", "refreshed": refreshed, **options}
    with pytest.raises(ValueError, match=words):
        SyntheticDataset(conditional, **arguments)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("refreshed", [False, True])
def test_a_generator_that_cannot_sample_writes_nothing(tmp_path: Path, refreshed: bool) -> None:
    bundle = write_toy_bundle(tmp_path / "toy", SHAPE)
    (bundle / "models" / "model.pt").write_bytes(b"damaged")
    (tmp_path / "pools").mkdir()
    with pytest.raises(ValueError, match="sha256"):
        SyntheticDataset(bundle, 2, cache_dir=tmp_path / "pools" / "pool", refreshed=refreshed)
    assert not list((tmp_path / "pools").iterdir())


def test_class_keys_that_do_not_fit_the_generator(paired: Any) -> None:
    with pytest.raises(ValueError, match="class_key is 'label', but generator 'toy' has no classes"):
        SyntheticDataset(paired, 2, class_key="label")
    with pytest.raises(ValueError, match="makes masks and has classes: give class_key"):
        SyntheticDataset(toy_generator(SHAPE, classes=CLASSES), {0: 2})
    with pytest.raises(ValueError, match="has no classes"):
        SyntheticDataset(paired, 2, class_map={0: "malignant"})
    with pytest.raises(ValueError, match="plan is"):
        SyntheticDataset(paired, {0: 2})
