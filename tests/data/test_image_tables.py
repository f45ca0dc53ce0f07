# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from monai_genaug.data.image_tables import image_table_items

TABLE = """image_name,patient_id,diagnosis,age
ISIC_2,IP_b,nevus,40
ISIC_1,IP_a,melanoma,
ISIC_3,IP_b,nevus,"6,5"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "part2").mkdir()
    for name in ("ISIC_1.jpg", "ISIC_2.PNG", "part2/ISIC_3.jpeg", "unlisted.jpg", "ISIC_1.txt"):
        (tmp_path / name).touch()
    (tmp_path / "table.csv").write_text(TABLE)
    return tmp_path.resolve()


def items_of(folder: Path, **arguments: Any) -> list[dict[str, Any]]:
    columns = {"image_column": "image_name", "class_column": "diagnosis", "subject_column": "patient_id"}
    return image_table_items(folder / "table.csv", folder, **{**columns, **arguments})


def test_items_are_sorted_and_know_class_and_subject(folder: Path) -> None:
    items = items_of(folder, columns={"age": "age"})
    assert items == [
        {"image": str(folder / "ISIC_1.jpg"), "label": 0, "class_name": "melanoma", "subject": "IP_a", "age": ""},
        {"image": str(folder / "ISIC_2.PNG"), "label": 1, "class_name": "nevus", "subject": "IP_b", "age": "40"},
        {
            "image": str(folder / "part2" / "ISIC_3.jpeg"),
            "label": 1,
            "class_name": "nevus",
            "subject": "IP_b",
            "age": "6,5",
        },
    ]


def test_given_classes_fix_the_ids(folder: Path) -> None:
    items = items_of(folder, classes=("nevus", "keratosis", "melanoma"))
    assert [item["label"] for item in items] == [2, 0, 0]


def test_without_classes_and_subjects(folder: Path) -> None:
    items = items_of(folder, class_column=None, subject_column=None)
    assert [set(item) for item in items] == [{"image", "subject"}] * 3
    assert [item["subject"] for item in items] == ["ISIC_1", "ISIC_2", "ISIC_3"]


@pytest.mark.parametrize("name", ["ISIC_3", "ISIC_3.jpeg", "part2/ISIC_3", "part2/ISIC_3.jpeg"])
def test_names_of_images_with_and_without_folder_and_suffix(folder: Path, name: str) -> None:
    (folder / "table.csv").write_text(f"image_name,diagnosis,patient_id\n{name},a,b\n")
    assert items_of(folder)[0]["image"] == str(folder / "part2" / "ISIC_3.jpeg")


def test_tables_in_other_dialects(folder: Path) -> None:
    expected = items_of(folder)
    lines = TABLE.replace('"6,5"', "65").replace(",", " , ")
    (folder / "table.csv").write_bytes(b"\xef\xbb\xbf" + lines.replace(" ,", ",").replace("\n", "\r\n").encode())
    assert [item["subject"] for item in image_table_items(folder / "table.csv", folder, "image_name")] == [
        "ISIC_1",
        "ISIC_2",
        "ISIC_3",
    ]
    (folder / "table.tsv").write_text(TABLE.replace('"6,5"', "6.5").replace(",", "\t"))
    items = image_table_items(folder / "table.tsv", folder, "image_name", "diagnosis", "patient_id")
    assert items == expected


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"image_column": "image"}, r"no columns \['image'\], its columns are \['image_name', 'patient_id'"),
        ({"columns": {"sex": "sex"}}, r"no columns \['sex'\]"),
        ({"class_column": "age"}, "no 'age' for 1 of 3 rows: ISIC_1"),
        ({"subject_column": "age"}, "no 'age' for 1 of 3 rows: ISIC_1"),
        ({"classes": ["nevus"]}, r"has the classes \['melanoma'\], allowed: \['nevus'\]"),
        ({"classes": ["nevus", "melanoma", "nevus"]}, "a name is there twice"),
    ],
)
def test_bad_columns_and_classes_are_named(folder: Path, arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        items_of(folder, **arguments)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", r"no columns \['diagnosis', 'image_name', 'patient_id'\]"),
        ("image_name,diagnosis,patient_id\n", "has no rows"),
        ("image_name,diagnosis,patient_id\nISIC_1,a,b\n,a,b\n", "no 'image_name' for 1 of 2 rows: row 3"),
        ("image_name,diagnosis,patient_id\nISIC_1,a,b\nISIC_2,a\n", "no 'patient_id' for 1 of 2 rows: ISIC_2"),
        ("image_name,diagnosis,patient_id\nISIC_1,a,b\nISIC_1,c,d\n", "several rows of one image: ISIC_1, ISIC_1"),
        ("image_name,diagnosis,patient_id\nISIC_1,a,b\nISIC_1.jpg,c,d\n", "several rows of one image: ISIC_1, ISIC_1"),
    ],
)
def test_bad_rows_are_named(folder: Path, text: str, words: str) -> None:
    (folder / "table.csv").write_text(text)
    with pytest.raises(ValueError, match=words):
        items_of(folder)


def test_unreadable_tables_are_named(folder: Path) -> None:
    (folder / "table.csv").write_bytes(b"image_name,diagnosis\n\xff\xfe,\n")
    with pytest.raises(ValueError, match=r"table\.csv is no readable table"):
        items_of(folder)
    (folder / "table.csv").unlink()
    with pytest.raises(FileNotFoundError, match=r"table\.csv does not exist"):
        items_of(folder)


@pytest.mark.parametrize("name", ["ISIC_9", "../ISIC_1", "unlisted.png", "ISIC_1.txt", "art2/ISIC_3"])
def test_missing_images_are_named(folder: Path, name: str) -> None:
    (folder / "table.csv").write_text(f"image_name,diagnosis,patient_id\nISIC_1,a,b\n{name},a,b\n")
    with pytest.raises(FileNotFoundError, match=rf"1 of 2 images of .*table\.csv are not in .*: {name}"):
        items_of(folder)


def test_ambiguous_names_are_refused(folder: Path) -> None:
    (folder / "ISIC_3.png").touch()
    with pytest.raises(ValueError, match=r"several images of one name in .*ISIC_3\.png, .*part2/ISIC_3\.jpeg"):
        items_of(folder)
    assert items_of(folder, suffixes=(".jpg", ".png"))[2]["image"] == str(folder / "ISIC_3.png")


def test_folders_that_are_not_there(folder: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nothing is not a folder"):
        image_table_items(folder / "table.csv", folder / "nothing", "image_name")
