# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""``train.json`` of every bundle on a handful of real items: one short epoch, up to the exported bundle."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import monai.bundle
import monai.utils
import pytest

from monai_genaug.generators import load_generator, read_spec
from monai_genaug.weights import file_sha256
from tests.small_data import small_copy, small_split


@pytest.fixture
def no_determinism() -> Iterator[None]:
    """``train.json`` sets MONAI's global seed, which other tests must not see."""
    yield
    monai.utils.set_determinism(None)


def overlay(config: dict[str, Any], folder: Path, source: Path) -> Path:
    """Config on top of ``train.json``: the CPU, one epoch of two batches."""
    batch_size = "batch_size" if "batch_size" in config else "train_dataloader#batch_size"
    max_epochs = "max_epochs" if "max_epochs" in config else "trainer#max_epochs"
    changes: dict[str, Any] = {"device": "$torch.device('cpu')", "amp": None, batch_size: 12, max_epochs: 1}
    if "min_subjects" in config:
        changes["min_subjects"] = 1 if "split_file" in config else 2
    if "split_file" in config:
        changes["split_file"] = str(small_split(source / "configs" / "split.json", folder))
        changes[batch_size] = 2
    path = folder / "small.json"
    path.write_text(json.dumps(changes))
    return path


def test_one_epoch_on_real_data(
    name: str, folder: Path, genaug_data: Path, tmp_path: Path, no_determinism: None
) -> None:
    spec = read_spec(folder)
    assert spec.provenance is not None
    data = small_copy(genaug_data, spec.provenance.dataset, tmp_path / "data")
    config = json.loads((folder / "configs" / "train.json").read_text())
    before = {path: file_sha256(path) for path in folder.rglob("*") if path.is_file()}
    workflow = monai.bundle.ConfigWorkflow(
        workflow_type="train",
        config_file=[str(folder / "configs" / "train.json"), str(overlay(config, tmp_path, folder))],
        bundle_root=str(folder),
        dataset_dir=str(data),
        output_dir=str(tmp_path / "out"),
    )
    workflow.initialize()
    workflow.run()
    workflow.finalize()
    assert {path: file_sha256(path) for path in folder.rglob("*") if path.is_file()} == before
    assert len((tmp_path / "out" / "log.csv").read_text().splitlines()) == 2
    assert (tmp_path / "out" / "checkpoints" / "last.pt").is_file()
    trained = load_generator(tmp_path / "out" / "bundle")
    assert trained.spec.outputs == spec.outputs
    assert trained.spec.classes == spec.classes
    assert trained.spec.sha256 != spec.sha256
    provenance = trained.spec.provenance
    assert provenance is not None
    assert len(provenance.item_hashes) == len(workflow.parser.get_parsed_content("train_items"))
    if "min_subjects" in config and "split_file" not in config:
        members = trained.network.latent.members
        assert all(2 <= len(member.metric.centroids) <= 6 for member in members)
    made = trained.sample([0], class_label=None if spec.classes is None else 0)
    assert made["image"].shape == (1, spec.outputs["image"].channels, *spec.spatial_shape)
