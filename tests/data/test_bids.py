# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest

from monai_genaug.data.bids import bids_items

PARTICIPANTS = "participant_id\tgroup\tage\nsub-02\tAD\t71\nsub-01\tCN\tn/a\n03\tAD\t80\nsub-09\tMCI\t60\n"
FILES = (
    "sub-01/anat/sub-01_T1w.nii.gz",
    "sub-01/anat/sub-01_T1w.json",
    "sub-01/anat/sub-01_FLAIR.nii.gz",
    "sub-01/func/sub-01_task-rest_bold.nii.gz",
    "sub-02/ses-M12/anat/sub-02_ses-M12_T1w.nii",
    "sub-02/ses-M00/anat/sub-02_ses-M00_run-1_T1w.nii.gz",
    "sub-02/ses-M00/anat/sub-02_ses-M00_run-2_T1w.nii.gz",
    "sub-02/ses-M00/anat/._sub-02_ses-M00_run-2_T1w.nii.gz",
    "sub-03/anat/sub-03_acq-mprage_T1w.nii.gz",
    "derivatives/sub-01/anat/sub-01_T1w.nii.gz",
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in FILES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "participants.tsv").write_text(PARTICIPANTS)
    return tmp_path.resolve()


def test_volumes_of_sessions_and_runs(folder: Path) -> None:
    items = bids_items(folder)
    assert [(item["subject"], item["session"]) for item in items] == [
        ("sub-01", ""),
        ("sub-02", "ses-M00"),
        ("sub-02", "ses-M00"),
        ("sub-02", "ses-M12"),
        ("sub-03", ""),
    ]
    assert items[0] == {
        "image": str(folder / "sub-01" / "anat" / "sub-01_T1w.nii.gz"),
        "subject": "sub-01",
        "session": "",
    }
    assert items[1]["image"].endswith("sub-02_ses-M00_run-1_T1w.nii.gz")


def test_other_suffixes(folder: Path) -> None:
    assert [item["subject"] for item in bids_items(folder, "FLAIR")] == ["sub-01"]
    with pytest.raises(ValueError, match=r"no volumes \*_T2w\.nii\[\.gz\], it has \['FLAIR', 'T1w'\]"):
        bids_items(folder, "T2w")
    with pytest.raises(ValueError, match=r"no volumes \*_1w\.nii"):
        bids_items(folder, "1w")


def test_labels_by_participant(folder: Path) -> None:
    items = bids_items(folder, label_column="group", columns={"years": "age"})
    assert [(item["label"], item["class_name"]) for item in items] == [(1, "CN"), *[(0, "AD")] * 4]
    assert [item["years"] for item in items] == ["n/a", "71", "71", "71", "80"]
    given = bids_items(folder, label_column="group", classes=("CN", "MCI", "AD"))
    assert [item["label"] for item in given] == [0, 2, 2, 2, 2]


def test_without_columns_no_table_is_needed(folder: Path) -> None:
    (folder / "participants.tsv").unlink()
    assert len(bids_items(folder)) == 5
    with pytest.raises(FileNotFoundError, match=r"participants\.tsv does not exist"):
        bids_items(folder, label_column="group")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("participant_id\tsex\nsub-01\tf\n", r"no columns \['group'\], its columns are \['participant_id', 'sex'\]"),
        ("participant_id\tgroup\nsub-01\tCN\n", "does not list 2 participants: sub-02, sub-03"),
        (PARTICIPANTS + "sub-03\tCN\t80\n", "lists sub-03 more than once"),
        (PARTICIPANTS.replace("AD\t71", "n/a\t71"), "no 'group' for 1 participants: sub-02"),
        (PARTICIPANTS.replace("AD", ""), "no 'group' for 2 participants: sub-02, sub-03"),
        ("participant_id\tgroup\n", "has no rows"),
    ],
)
def test_bad_tables_are_named(folder: Path, text: str, words: str) -> None:
    (folder / "participants.tsv").write_text(text)
    with pytest.raises(ValueError, match=words):
        bids_items(folder, label_column="group")


def test_classes_that_are_not_allowed_are_named(folder: Path) -> None:
    with pytest.raises(ValueError, match=r"column 'group' of .* has the classes \['AD'\], allowed: \['CN', 'MCI'\]"):
        bids_items(folder, label_column="group", classes=("CN", "MCI"))


def test_folders_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nothing is not a folder"):
        bids_items(tmp_path / "nothing")
    with pytest.raises(ValueError, match=r"it has \[\]"):
        bids_items(tmp_path)
