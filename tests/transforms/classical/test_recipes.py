# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import math
import pickle
import random
from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch
from monai.data import CacheDataset, DataLoader, Dataset
from monai.transforms import Compose
from torch import Tensor

from monai_genaug.transforms.classical import CLASSICAL_RECIPES, classical_recipe
from monai_genaug.transforms.classical.geometry import _RandViewd

every_recipe = pytest.mark.parametrize("name", CLASSICAL_RECIPES)
INTENSITY_ONLY = ("histology_invert", "histology_noise", "histology_greyscale")
GREY_UNCHANGED = ("histology_greyscale",)


def make_item(channels: int = 3, size: tuple[int, int] = (24, 24), seed: int = 0) -> dict[str, Any]:
    state = np.random.RandomState(seed)
    mask = np.zeros((1, *size), np.uint8)
    mask[:, 4:12, 3:17] = 2
    return {"image": state.uniform(size=(channels, *size)).astype(np.float32), "mask": mask, "label": 1}


def run(recipe: Compose, item: dict[str, Any], seed: int) -> dict[str, Any]:
    recipe.set_random_state(seed)
    made: dict[str, Any] = recipe(item)
    return made


@every_recipe
@pytest.mark.parametrize("channels", [1, 3])
def test_images_stay_in_range_and_shape(name: str, channels: int) -> None:
    recipe, item = classical_recipe(name, mask_keys=("mask",)), make_item(channels)
    images = []
    for seed in range(12):
        made = run(recipe, item, seed)
        assert made["image"].shape == (channels, 24, 24)
        assert made["image"].dtype == torch.float32
        assert 0 <= made["image"].min() <= made["image"].max() <= 1
        assert made["mask"].shape == (1, 24, 24)
        assert made["mask"].dtype == torch.uint8
        assert set(made["mask"].unique().tolist()) <= {0, 2}
        assert made["label"] == 1
        images.append(made["image"])
    different = {tuple(image.flatten().tolist()) for image in images}
    assert len(different) > 1 or (channels == 1 and name in GREY_UNCHANGED)


@every_recipe
def test_masks_get_the_geometry_and_only_that(name: str) -> None:
    recipe, item = classical_recipe(name, mask_keys=("mask",)), make_item(1)
    for seed in range(10):
        made = run(recipe, item, seed)
        # the same draws on the mask's own picture, as a mask and as an image of it
        again = run(recipe, {**item, "image": item["mask"].astype(np.float32) / 2}, seed)
        assert torch.equal(made["mask"], again["mask"])
        if name in INTENSITY_ONLY:
            assert torch.equal(made["mask"], torch.from_numpy(item["mask"]))
        if name in ("histology_flip", "histology_rotation", "histology_crop"):
            assert ((again["image"] > 0.5) != (made["mask"] == 2)).float().mean() < 0.03


@every_recipe
def test_a_seed_decides(name: str) -> None:
    recipe, other = classical_recipe(name), pickle.loads(pickle.dumps(classical_recipe(name)))
    item = make_item()
    for seed in (1, 2):
        assert torch.equal(run(recipe, item, seed)["image"], run(other, item, seed)["image"])


@every_recipe
def test_input_and_global_random_state_are_left_alone(name: str) -> None:
    recipe, item = classical_recipe(name, mask_keys=("mask",)), make_item()
    tensors = {key: torch.from_numpy(item[key].copy()) for key in ("image", "mask")}
    results = []
    for seed in (1, 2):
        random.seed(seed)
        np.random.seed(seed)
        torch.manual_seed(seed)
        before = (random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist())  # type: ignore[index]
        results.append(run(recipe, tensors, 5)["image"])
        after = (random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist())  # type: ignore[index]
        assert before == after
    assert torch.equal(results[0], results[1])
    assert all(torch.equal(tensors[key], torch.from_numpy(item[key])) for key in tensors)


@every_recipe
@pytest.mark.parametrize("normalize", [(0.5, 0.25), ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))])
def test_normalisation_is_the_last_step(name: str, normalize: Any) -> None:
    item = make_item()
    plain = run(classical_recipe(name), item, 3)["image"]
    mean, std = (torch.as_tensor(values).reshape(-1, 1, 1) for values in normalize)
    found = run(classical_recipe(name, normalize=normalize), item, 3)["image"]
    assert (found - (plain - mean) / std).abs().max() < 1e-5


@every_recipe
def test_in_a_loader_with_workers(name: str) -> None:
    items = [make_item(seed=seed) for seed in range(4)]
    recipe = classical_recipe(name, mask_keys=("mask",))
    recipe.set_random_state(0)
    batches = list(DataLoader(Dataset(items, recipe), batch_size=4, num_workers=0))
    assert batches[0]["image"].shape == (4, 3, 24, 24)
    assert batches[0]["mask"].shape == (4, 1, 24, 24)


def test_workers_do_not_repeat_each_other() -> None:
    items = [make_item() for _ in range(8)]
    dataset = Dataset(items, classical_recipe("medmnist_colour"))
    batches = list(DataLoader(dataset, batch_size=2, num_workers=2))
    images = [tuple(image.flatten().tolist()) for batch in batches for image in batch["image"]]
    assert len(set(images)) == 8


def test_a_cache_ends_before_the_draws() -> None:
    recipe = classical_recipe("histology_rotation")
    dataset = CacheDataset([make_item()], recipe, progress=False)
    assert not torch.equal(dataset[0]["image"], dataset[0]["image"])


def test_several_images_change_alike() -> None:
    item = make_item()
    for name in set(CLASSICAL_RECIPES) - {"histology_noise"}:  # noise is each image's own
        made = run(classical_recipe(name, keys=("image", "other")), {**item, "other": item["image"].copy()}, 2)
        assert torch.equal(made["image"], made["other"])


def test_medmnist_grey_has_all_combinations() -> None:
    recipe, item = classical_recipe("medmnist_grey"), make_item(1)
    image = torch.from_numpy(item["image"])

    def kind(made: Tensor) -> tuple[bool, bool]:
        # a sharpened image still correlates with its original
        def correlation(one: Tensor) -> float:
            return float(torch.corrcoef(torch.stack([one.flatten(), made.flatten()]))[0, 1])

        straight, flipped = correlation(image), correlation(image.flip(2))
        best = flipped if abs(flipped) > abs(straight) else straight
        return abs(flipped) > abs(straight), best < 0

    counts = Counter(kind(run(recipe, item, seed)["image"].as_tensor()) for seed in range(120))
    assert len(counts) == 4
    assert min(counts.values()) > 15


def test_rotation_limits() -> None:
    limits = {}
    for name in ("medmnist_colour", "histology_rotation", "skin_lesion"):
        limits[name] = next(step.rotate for step in classical_recipe(name).transforms if isinstance(step, _RandViewd))
    assert limits == pytest.approx(
        {"medmnist_colour": math.pi, "histology_rotation": math.radians(36), "skin_lesion": math.radians(45)}
    )


def test_turns_and_flips_of_skin_lesions_are_all_symmetries() -> None:
    recipe = classical_recipe("skin_lesion")
    geometry = Compose(recipe.transforms[:4])
    image = torch.arange(16.0).reshape(1, 4, 4) / 16
    geometry.set_random_state(0)
    counts = Counter(tuple(geometry({"image": image})["image"].flatten().tolist()) for _ in range(400))
    expected = {
        tuple(torch.rot90(flipped, k, (1, 2)).flatten().tolist())
        for flipped in (image, image.flip(1))
        for k in range(4)
    }
    assert set(counts) == expected
    assert min(counts.values()) > 25


def test_black_and_mirrored_surroundings() -> None:
    item = {"image": torch.ones(1, 30, 30)}
    rotated = run(classical_recipe("histology_rotation"), item, 0)["image"]
    assert rotated.min() > 0.999
    blacks = [run(classical_recipe("medmnist_colour"), item, seed)["image"].min() for seed in range(5)]
    assert min(blacks) == 0


def test_pairs_are_both() -> None:
    item = make_item(1)
    image = torch.from_numpy(item["image"])
    possible = [one.flip(axes) if axes else one for one in (image, 1 - image) for axes in ((), (1,), (2,), (1, 2))]
    seen = set()
    for seed in range(60):
        made = run(classical_recipe("histology_invert_flip"), item, seed)["image"]
        distances = [float((made - one).abs().max()) for one in possible]
        assert min(distances) < 1e-6
        seen.add(int(np.argmin(distances)))
    assert len(seen) == 8


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"name": "flip"}, r"'flip' is unknown, allowed: \('medmnist_grey', "),
        ({"keys": ()}, "at least one image"),
        ({"keys": ("image", "image")}, "no key twice"),
        ({"mask_keys": ("image",)}, "no key twice"),
        ({"normalize": (0.5, 0.0)}, r"standard deviation 0\.0, allowed: positive"),
        ({"normalize": ((0.5, 0.5), (1.0, 1.0, 1.0))}, "one each per channel"),
    ],
)
def test_bad_arguments(arguments: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        classical_recipe(**{"name": "skin_lesion", **arguments})


@pytest.mark.parametrize(
    ("name", "item", "text"),
    [
        ("histology_flip", {"image": np.full((3, 8, 8), 255, np.uint8)}, r"spans \[255, 255\], allowed: \[0, 1\]"),
        ("histology_flip", {"image": np.full((3, 8, 8), np.nan)}, r"spans \[nan, nan\]"),
        ("histology_flip", {"image": np.zeros((2, 8, 8))}, r"shape \(2, 8, 8\), allowed: \(1 or 3, height, width\)"),
        ("histology_flip", {"image": np.zeros((1, 8, 8, 8))}, "allowed: "),
        ("skin_lesion", {"image": np.zeros((1, 8, 9))}, "needs height = width"),
    ],
)
def test_bad_images(name: str, item: dict[str, Any], text: str) -> None:
    with pytest.raises(RuntimeError) as caught:
        classical_recipe(name)(item)
    assert isinstance(caught.value.__cause__, ValueError)
    assert caught.match("applying transform")
    with pytest.raises(ValueError, match=text):
        raise caught.value.__cause__


def test_masks_that_do_not_fit() -> None:
    item = make_item() | {"mask": np.zeros((1, 8, 8))}
    with pytest.raises(RuntimeError) as caught:
        classical_recipe("histology_flip", mask_keys="mask")(item)
    assert "'mask' has shape (1, 8, 8)" in str(caught.value.__cause__)
