# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from monai_genaug.experiments import feature_images
from monai_genaug.experiments.feature_images import SIZE, read_feature_images


@pytest.fixture
def dataset_dir(tmp_path: Path) -> Path:
    """A BreastMNIST whose last training image is a test image, and BUSI pictures of most of its images."""
    rng = np.random.default_rng(0)
    parts = {}
    for part, count in (("train", 6), ("val", 4), ("test", 5)):
        parts[f"{part}_images"] = rng.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        parts[f"{part}_labels"] = (np.arange(count) % 2)[:, None]
    parts["train_images"][5] = parts["test_images"][4]
    (tmp_path / "medmnist").mkdir()
    np.savez(tmp_path / "medmnist" / "breastmnist.npz", **parts)
    for folder, places in (("benign", (1, 3)), ("malignant", (0, 2))):
        (tmp_path / "busi_128" / folder).mkdir(parents=True)
        for part in ("train", "val", "test"):
            for i in places:
                picture = np.kron(parts[f"{part}_images"][i], np.ones((4, 4), np.uint8))
                Image.fromarray(picture).save(tmp_path / "busi_128" / folder / f"{part}_{i}.png")
        Image.fromarray(rng.integers(0, 256, (112, 112), dtype=np.uint8)).save(
            tmp_path / "busi_128" / folder / "unknown.png"
        )
    return tmp_path


@pytest.mark.parametrize("part", ["train", "val", "test"])
def test_busi_pictures_are_of_the_part_of_their_breastmnist_version(dataset_dir: Path, part: str) -> None:
    pictures = feature_images._busi(dataset_dir, part)
    for folder, places in (("benign", (1, 3)), ("malignant", (0, 2))):
        paths = [dataset_dir / "busi_128" / folder / f"{part}_{i}.png" for i in places]
        expected = torch.stack([feature_images._picture(str(path)) for path in paths])
        assert torch.equal(pictures[folder], expected)


def test_training_images_of_other_parts_are_left_out(dataset_dir: Path) -> None:
    groups = feature_images._medmnist(dataset_dir, "breastmnist", "train")
    assert {name: len(images) for name, images in groups.items()} == {"0": 3, "1": 2}
    whole = feature_images._medmnist(dataset_dir, "breastmnist", "test")
    assert {name: len(images) for name, images in whole.items()} == {"0": 3, "1": 2}


def test_the_parts_of_the_real_data_have_no_image_in_common(genaug_data: Path) -> None:
    if not all((genaug_data / name).is_dir() for name in ("medmnist", "busi_128", "Task04_Hippocampus")):
        pytest.skip(f"{genaug_data} lacks medmnist, busi_128 or Task04_Hippocampus")
    train, val = (read_feature_images(genaug_data, 2, part) for part in ("train", "val"))
    assert train.classes == val.classes
    assert train.images.shape[1:] == val.images.shape[1:] == (1, *SIZE[2])
    assert not any("ham" in name or "derma" in name for name in train.classes)
    natural = [
        number for number, name in enumerate(train.classes) if name.startswith(("breast", "pneu", "busi", "hippo"))
    ]
    sets = [
        {image.numpy().tobytes() for image in part.images[torch.isin(part.labels, torch.tensor(natural))]}
        for part in (train, val)
    ]
    assert not sets[0] & sets[1]
