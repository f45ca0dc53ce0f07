# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""The configs of ``hippocampus_mri_rhvae`` agree with the data that they name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from monai.bundle import ConfigParser
from monai.transforms import Compose

from monai_genaug.data import check_disjoint, split_by_subject
from monai_genaug.data.decathlon import decathlon_items, hippocampus_subject, select_split
from monai_genaug.generators import content_hash, preprocessing_for
from monai_genaug.generators.bundle_reference import BundleReference
from tests.tiny_training import BUNDLE, CONFIGS, SHAPE, write_volumes

PARTS = ("train", "val", "test")


def config(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((CONFIGS / name).read_text())
    return content


def chain(shape: tuple[int, ...]) -> Compose:
    """The deterministic transforms of ``train.json``."""
    parser = ConfigParser({key: config("train.json")[key] for key in ("imports", "preprocessing", "network_args")})
    parser["network_args"]["spatial_shape"] = list(shape)
    return Compose(parser.get_parsed_content("preprocessing"))


def same_preprocessing(items: list[dict[str, Any]], shape: tuple[int, ...]) -> None:
    spec = BundleReference.read(BUNDLE).spec.replace(spatial_shape=shape)
    trained_on, generators = chain(shape), preprocessing_for(spec, ("image", "label"))
    for item in items:
        mine, theirs = trained_on(item), generators({key: item[key] for key in ("image", "label")})
        assert content_hash(mine["image"]) == content_hash(theirs["image"])
        torch.testing.assert_close(mine["image"], theirs["image"].as_tensor(), rtol=0, atol=0)
        assert (mine["label"] == theirs["label"].as_tensor()).all()
        assert mine["observed"].sum() < mine["observed"].numel()


def test_split_has_no_subject_in_two_parts() -> None:
    split = config("split.json")
    check_disjoint([split[part] for part in PARTS], hippocampus_subject)
    sizes = [len({hippocampus_subject(name) for name in split[part]}) for part in PARTS]
    assert sizes == [90, 20, 19]  # of 129 subjects


def test_split_is_what_split_by_subject_makes_of_the_data(hippocampus_dir: Path) -> None:
    items = decathlon_items(hippocampus_dir)
    parts = split_by_subject(items, "subject", (0.7, 0.15, 0.15), seed=0)
    for name, part in zip(PARTS, parts, strict=True):
        assert config("split.json")[name] == [Path(item["image"]).name for item in part]
        assert select_split(items, CONFIGS / "split.json", name) == part


def test_training_sees_the_volumes_of_the_generators_preprocessing(tmp_path: Path) -> None:
    same_preprocessing(decathlon_items(write_volumes(tmp_path / "data", 3)), SHAPE)


def test_training_sees_the_volumes_of_the_generators_preprocessing_real(hippocampus_dir: Path) -> None:
    same_preprocessing(decathlon_items(hippocampus_dir)[:3], (48, 64, 48))


def test_augmentation_keeps_the_value_range_and_the_labels(tmp_path: Path) -> None:
    item = chain(SHAPE)(decathlon_items(write_volumes(tmp_path / "data", 1))[0])
    augmentation = Compose(ConfigParser({"a": config("train.json")["augmentation"]}).get_parsed_content("a"))
    augmentation.set_random_state(0)
    moved = [augmentation(dict(item)) for _ in range(10)]
    for one in moved:
        assert one["image"].min() >= 0.0
        assert one["image"].max() <= 1.0
        assert set(one["label"].unique().tolist()) <= {0, 1, 2}
        assert set(one["observed"].unique().tolist()) <= {0, 1}
    assert not torch.equal(moved[0]["image"], moved[1]["image"])


@pytest.mark.parametrize("part", ["train", "nonsense"])
def test_select_split_names_what_is_wrong(tmp_path: Path, part: str) -> None:
    items = decathlon_items(write_volumes(tmp_path / "data", 2))
    with pytest.raises(ValueError, match="'train'"):
        select_split(items, CONFIGS / "split.json", part)
