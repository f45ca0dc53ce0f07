# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from monai_genaug.data import decathlon_items, hippocampus_subject


def write_task(folder: Path, names: list[str]) -> Path:
    entries = [{"image": f"./imagesTr/{name}", "label": f"./labelsTr/{name}"} for name in names]
    (folder / "dataset.json").write_text(json.dumps({"training": entries}))
    for entry in entries:
        for path in entry.values():
            (folder / path).parent.mkdir(exist_ok=True)
            (folder / path).touch()
    return folder


def test_items_are_sorted_absolute_and_know_their_subject(tmp_path: Path) -> None:
    items = decathlon_items(write_task(tmp_path, ["hippocampus_018.nii.gz", "hippocampus_004.nii.gz"]))
    assert [item["subject"] for item in items] == [2, 9]
    assert items[0]["image"] == str((tmp_path / "imagesTr" / "hippocampus_004.nii.gz").resolve())
    assert items[0]["label"] == str((tmp_path / "labelsTr" / "hippocampus_004.nii.gz").resolve())


def test_other_tasks_have_one_subject_per_file(tmp_path: Path) -> None:
    assert decathlon_items(write_task(tmp_path, ["BRATS_001.nii.gz"]))[0]["subject"] == "BRATS_001"


def test_missing_files_are_named(tmp_path: Path) -> None:
    write_task(tmp_path, ["hippocampus_001.nii.gz", "hippocampus_003.nii.gz"])
    (tmp_path / "labelsTr" / "hippocampus_003.nii.gz").unlink()
    with pytest.raises(FileNotFoundError, match=r"1 of 4 files .*labelsTr/hippocampus_003\.nii\.gz"):
        decathlon_items(tmp_path)


def test_folders_that_are_no_task_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"dataset\.json does not exist"):
        decathlon_items(tmp_path)
    for text in ("{}", "not json", '{"training": [{"image": "a.nii"}]}', "[]"):
        (tmp_path / "dataset.json").write_text(text)
        with pytest.raises(ValueError, match="is not a Decathlon description"):
            decathlon_items(tmp_path)
    (tmp_path / "dataset.json").write_text('{"training": []}')
    with pytest.raises(ValueError, match="lists no training items"):
        decathlon_items(tmp_path)


def test_two_files_are_one_subject() -> None:
    assert [hippocampus_subject(f"hippocampus_{n:03d}.nii.gz") for n in (1, 2, 3, 4, 393, 394)] == [
        1,
        1,
        2,
        2,
        197,
        197,
    ]
    assert hippocampus_subject(Path("a") / "hippocampus_017") == 9
    for name in ("hippocampus.nii.gz", "hippocampus_x.nii.gz", "brain_017.nii.gz", "hippocampus_017.txt"):
        with pytest.raises(ValueError, match="is no hippocampus volume"):
            hippocampus_subject(name)


def test_the_real_task(hippocampus_dir: Path) -> None:
    items = decathlon_items(hippocampus_dir)
    assert len(items) == json.loads((hippocampus_dir / "dataset.json").read_text())["numTraining"]
    assert max(Counter(item["subject"] for item in items).values()) == 2
