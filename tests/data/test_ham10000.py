# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import math
import zipfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from monai_genaug.data import split_by_subject
from monai_genaug.data.ham10000 import HAM10000_CLASSES, ham10000_items

HEADER = "lesion_id,image_id,dx,dx_type,age,sex,localization\n"
ROWS = """HAM_2,ISIC_03,nv,histo,45.0,male,back
HAM_1,ISIC_01,mel,histo,,unknown,unknown
HAM_2,ISIC_02,nv,histo,80.0,female,
"""
NAMES = ("ISIC_01.jpg", "ISIC_02.jpg", "ISIC_03.jpg")


def write_table(folder: Path, rows: str = ROWS, name: str = "metadata.csv") -> Path:
    (folder / name).write_text(HEADER + rows)
    return folder


def write_zip(path: Path, names: Sequence[str]) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, b"x")


def test_diagnoses_are_in_alphabetical_order() -> None:
    assert list(HAM10000_CLASSES) == sorted(HAM10000_CLASSES)
    assert len(HAM10000_CLASSES) == 7


def test_items_of_a_folder_of_images(tmp_path: Path) -> None:
    write_table(tmp_path, name="HAM10000_metadata.csv")
    (tmp_path / "HAM10000_images_part_1").mkdir()
    for name in (*NAMES, "ISIC_99.jpg"):
        (tmp_path / "HAM10000_images_part_1" / name).touch()
    first, second, third = ham10000_items(tmp_path)
    assert first == {
        "image": str(tmp_path.resolve() / "HAM10000_images_part_1" / "ISIC_01.jpg"),
        "label": 4,
        "class_name": "mel",
        "subject": "HAM_1",
        "age": math.nan,
        "sex": "unknown",
        "site": "unknown",
    }
    assert (second["label"], second["age"], second["sex"], second["site"]) == (5, 80.0, "female", "")
    assert third["age"] == 45.0
    assert ham10000_items(tmp_path) == [first, second, third]


def test_images_in_a_zip_file_need_a_folder(tmp_path: Path) -> None:
    write_table(tmp_path)
    write_zip(tmp_path / "images_200x150.zip", NAMES)
    with pytest.raises(ValueError, match=r"images_200x150\.zip holds the images: give image_dir"):
        ham10000_items(tmp_path)
    items = ham10000_items(tmp_path, tmp_path / "out")
    assert [item["image"] for item in items] == [str(tmp_path.resolve() / "out" / name) for name in NAMES]
    (tmp_path / "images_200x150.zip").unlink()
    assert ham10000_items(tmp_path, tmp_path / "out") == items


def test_images_in_two_zip_files(tmp_path: Path) -> None:
    write_table(tmp_path)
    write_zip(tmp_path / "HAM10000_images_part_1.zip", NAMES[:2])
    write_zip(tmp_path / "HAM10000_images_part_2.zip", NAMES[2:])
    assert len(ham10000_items(tmp_path, tmp_path / "out")) == 3


def test_images_elsewhere(tmp_path: Path) -> None:
    write_table(tmp_path)
    (tmp_path / "elsewhere").mkdir()
    for name in NAMES:
        (tmp_path / "elsewhere" / name).touch()
    assert len(ham10000_items(tmp_path, tmp_path / "elsewhere")) == 3


def test_missing_images_are_named(tmp_path: Path) -> None:
    write_table(tmp_path)
    write_zip(tmp_path / "images.zip", NAMES[1:])
    with pytest.raises(FileNotFoundError, match=r"1 of 3 images of .*metadata\.csv are not in .*out: ISIC_01"):
        ham10000_items(tmp_path, tmp_path / "out")


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("HAM_1,ISIC_01,scc,histo,1,male,back\n", r"column 'dx' of .* has the classes \['scc'\], allowed: \['akiec'"),
        ("HAM_1,ISIC_01,,histo,1,male,back\n", "no 'dx' for 1 of 1 rows: ISIC_01"),
        (",ISIC_01,nv,histo,1,male,back\n", "no 'lesion_id' for 1 of 1 rows: ISIC_01"),
        ("HAM_1,ISIC_01,nv,histo,old,male,back\n", r"the age of .*ISIC_01\.jpg is 'old'"),
    ],
)
def test_bad_rows_are_named(tmp_path: Path, row: str, words: str) -> None:
    write_table(tmp_path, row)
    (tmp_path / "ISIC_01.jpg").touch()
    with pytest.raises(ValueError, match=words):
        ham10000_items(tmp_path)


def test_folders_of_something_else_are_refused(tmp_path: Path) -> None:
    write_zip(tmp_path / "images.zip", NAMES)
    with pytest.raises(FileNotFoundError, match=r"none of metadata\.csv, HAM10000_metadata\.csv"):
        ham10000_items(tmp_path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_real_images(genaug_data: Path, tmp_path: Path) -> None:
    folder = genaug_data / "ham10000"
    if not (folder / "metadata.csv").is_file():
        pytest.skip(f"{genaug_data} has no ham10000")
    items = ham10000_items(folder, tmp_path / "out")
    lines = (folder / "metadata.csv").read_text().splitlines()
    assert Counter(item["class_name"] for item in items) == Counter(line.split(",")[2] for line in lines[1:])
    assert np.asarray(Image.open(items[0]["image"])).shape == (150, 200, 3)
    parts = split_by_subject(items, "subject", (0.8, 0.2), stratify="label")
    assert [{item["label"] for item in part} for part in parts] == [set(range(7))] * 2
