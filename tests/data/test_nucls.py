# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest

from monai_genaug.data import split_by_subject
from monai_genaug.data.nucls import NUCLS_CLASSES, nucls_items

SLIDE = "TCGA-{lab}-{patient}-DX1_id-5ea4a_left-11371_top-54469"


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder.resolve()


def name_of(label: str, lab: str, patient: str, number: int = 0, more: str = "") -> str:
    return f"{label}.{number}.3.{SLIDE.format(lab=lab, patient=patient)}{more}.png"


def test_names_say_label_patient_and_lab(tmp_path: Path) -> None:
    names = [name_of("tumor", "A1", "A0SK"), name_of("TIL", "AR", "A1AQ"), name_of("stromal", "A1", "A0SP")]
    root = touch(tmp_path, *names, name_of("unknown", "A1", "A0SK"), "notes.txt", ".hidden.png")
    items = nucls_items(tmp_path)
    assert items == [
        {"image": str(root / names[1]), "label": 1, "class_name": "TIL", "subject": "TCGA-AR-A1AQ", "lab": "AR"},
        {"image": str(root / names[2]), "label": 0, "class_name": "stromal", "subject": "TCGA-A1-A0SP", "lab": "A1"},
        {"image": str(root / names[0]), "label": 2, "class_name": "tumor", "subject": "TCGA-A1-A0SK", "lab": "A1"},
    ]
    assert NUCLS_CLASSES == ("stromal", "TIL", "tumor")


def test_longer_names_and_sub_folders(tmp_path: Path) -> None:
    touch(tmp_path, name_of("tumor", "A1", "A0SK", more=".classificationHalf"), "b/" + name_of("TIL", "OL", "A5RU"))
    assert [item["subject"] for item in nucls_items(tmp_path)] == ["TCGA-OL-A5RU", "TCGA-A1-A0SK"]


def test_a_split_by_lab_keeps_each_lab_together(tmp_path: Path) -> None:
    labs = ("A1", "A2", "AR", "BH", "OL")
    touch(tmp_path, *(name_of("tumor", lab, f"A{n:03d}", n) for lab in labs for n in range(6)))
    train, test = split_by_subject(nucls_items(tmp_path), "lab", (0.6, 0.4))
    assert {item["lab"] for item in train} | {item["lab"] for item in test} == set(labs)
    assert not {item["lab"] for item in train} & {item["lab"] for item in test}
    assert not {item["subject"] for item in train} & {item["subject"] for item in test}


@pytest.mark.parametrize(
    "name",
    [
        "tumor.png",
        "tumor.0.3.png",
        "tumor.0.3.TCGA-A1-A0S.png",  # 11 characters
        "tumor.0.3.TCGAxA1xA0SK-DX1.png",
        "tumor.0.3.TCGA--A0SKX-DX1.png",
        "Tumor.0.3.TCGA-A1-A0SK-DX1.png",
        "lymphocyte.0.3.TCGA-A1-A0SK-DX1.png",
    ],
)
def test_other_names_are_refused(tmp_path: Path, name: str) -> None:
    touch(tmp_path, name_of("tumor", "A1", "A0SK"), name)
    with pytest.raises(ValueError, match=f"1 files in .* are not named .*: {name}"):
        nucls_items(tmp_path)


def test_folders_without_nuclei(tmp_path: Path) -> None:
    touch(tmp_path, name_of("unknown", "A1", "A0SK"))
    with pytest.raises(ValueError, match="no labelled nuclei"):
        nucls_items(tmp_path)
    with pytest.raises(FileNotFoundError, match="nothing is not a folder"):
        nucls_items(tmp_path / "nothing")
