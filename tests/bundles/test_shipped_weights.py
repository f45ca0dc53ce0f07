# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""The weights of ``hippocampus_mri_rhvae``."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from monai.transforms import Compose, LoadImage, ResizeWithPadOrCrop

from monai_genaug.data.decathlon import decathlon_items, hippocampus_subject, select_split
from monai_genaug.generators import LatentGenerator, content_hash, load_generator, subject_hash
from monai_genaug.transforms import FieldOfView
from tests.tiny_training import CONFIGS

NAME = "hippocampus_mri_rhvae"


def generator() -> LatentGenerator:
    loaded = load_generator(NAME)
    assert isinstance(loaded, LatentGenerator)
    return loaded


def test_samples_are_varied_pairs() -> None:
    samples = generator().sample(range(8))
    assert samples["image"].shape == samples["mask"].shape == (8, 1, 48, 64, 48)
    assert samples["image"].min() >= 0.0
    assert samples["image"].max() <= 1.0
    for mask in samples["mask"]:
        assert mask.unique().tolist() == [0, 1, 2]
        assert 500 < int((mask > 0).sum()) < 8000
    assert (samples["image"].std(dim=0).mean()) > 0.01


def test_every_code_of_a_training_volume_is_stored_once() -> None:
    split = json.loads((CONFIGS / "split.json").read_text())
    provenance = generator().spec.provenance
    assert provenance is not None
    assert len(provenance.item_hashes) == len(set(provenance.item_hashes)) == len(split["train"])
    subjects = {subject_hash(str(hippocampus_subject(name)), provenance.subject_salt) for name in split["train"]}
    assert set(provenance.subject_hashes) == subjects


def test_hashes_are_those_of_the_training_part_alone(hippocampus_dir: Path) -> None:
    loaded, items = generator(), decathlon_items(hippocampus_dir)
    chain, provenance = loaded.preprocessing(("image", "label")), loaded.spec.provenance
    assert provenance is not None
    for part, expected in (("train", True), ("val", False), ("test", False)):
        for item in select_split(items, CONFIGS / "split.json", part)[:10]:
            volume = chain({key: item[key] for key in ("image", "label")})
            assert (content_hash(volume["image"]) in provenance.item_hashes) == expected


def test_reconstructs_held_out_volumes(hippocampus_dir: Path) -> None:
    loaded = generator()
    chain = loaded.preprocessing(("image", "label"))
    items = select_split(decathlon_items(hippocampus_dir), CONFIGS / "split.json", "test")[:8]
    volumes = [chain({key: item[key] for key in ("image", "label")}) for item in items]
    batch = {name: torch.stack([v[key] for v in volumes]) for name, key in (("image", "image"), ("mask", "label"))}
    decoded = loaded.reconstruct(batch)
    real, made = batch["mask"] > 0, decoded["mask"] > 0
    dice = 2 * (real & made).sum() / (real.sum() + made.sum())
    assert dice > 0.75
    error = (decoded["image"] - batch["image"].as_tensor()).abs()
    load = Compose([LoadImage(ensure_channel_first=True), FieldOfView(), ResizeWithPadOrCrop((48, 64, 48))])
    measured = torch.stack([load(item["image"]).as_tensor() for item in items]) > 0  # the rest repeats border voxels
    assert error[measured].mean() < 0.12
