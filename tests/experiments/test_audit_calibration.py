# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

from monai_genaug.experiments import audit_calibration
from monai_genaug.experiments.audit_calibration import calibrate, load_items
from monai_genaug.experiments.replaying import DISGUISES


def write_dataset(folder, count: int) -> None:
    """A small file in the layout of BreastMNIST, all images different."""
    folder.mkdir()
    generator = np.random.default_rng(0)
    parts = {}
    for part, size in (("train", count), ("val", count // 4), ("test", 2)):
        coarse = generator.integers(0, 256, (size, 7, 7))
        parts[f"{part}_images"] = coarse.repeat(4, axis=1).repeat(4, axis=2).astype(np.uint8)
        parts[f"{part}_labels"] = (np.arange(size) % 2)[:, None].astype(np.uint8)
    np.savez(folder / "breastmnist.npz", **parts)


def test_the_command_audits_every_kind_and_goes_on_from_its_results(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(audit_calibration, "JUDGED", ())
    monkeypatch.setattr(audit_calibration, "HONEST_SPLITS", 2)
    monkeypatch.setattr(audit_calibration, "SHARES", (1.0,))
    monkeypatch.setattr(audit_calibration, "OVERFITTED_STEPS", 20)
    monkeypatch.setattr(audit_calibration, "BUNDLES", {"breastmnist": ()})
    write_dataset(tmp_path / "medmnist", 120)
    calibrate(tmp_path, tmp_path / "work", tmp_path / "roc.png")
    first = capsys.readouterr().out
    assert "| breastmnist | 4 | 4 |" in first
    rows = {row.split(" | ")[1]: row for row in first.splitlines() if " | 100% | " in row}
    assert all(rows[kind].endswith("FAILED |") for kind in DISGUISES)
    assert (tmp_path / "roc.png").stat().st_size > 5000
    times = {path: path.stat().st_mtime_ns for path in (tmp_path / "work").iterdir()}
    calibrate(tmp_path, tmp_path / "work")
    assert capsys.readouterr().out == first
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "work").iterdir()} == times


def test_items_come_with_classes(tmp_path) -> None:
    write_dataset(tmp_path / "medmnist", 12)
    items = load_items("breastmnist", tmp_path / "medmnist", ("train", "val"))
    assert items.outputs["image"].shape == (15, 1, 28, 28)
    assert 0 <= float(items.outputs["image"].min()) < float(items.outputs["image"].max()) <= 1
    assert items.labels.tolist()[:3] == [0, 1, 0]
    with pytest.raises(ValueError, match="all"):
        load_items("breastmnist", tmp_path / "medmnist", ("all",))
