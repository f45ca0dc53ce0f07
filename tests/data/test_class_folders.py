# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from monai_genaug.data import split_by_subject
from monai_genaug.data.class_folders import class_folder_items, class_folder_names


def touch(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return root


def test_one_folder_per_class(tmp_path: Path) -> None:
    touch(tmp_path, "normal/a.png", "normal/b.PNG", "benign/z.jpeg", "benign/deeper/y.nii.gz", "benign/z.dcm")
    items = class_folder_items(tmp_path)
    assert class_folder_names(str(tmp_path)) == ("benign", "normal")
    root = tmp_path.resolve()
    assert items[0] == {
        "image": str(root / "benign" / "deeper" / "y.nii.gz"),
        "label": 0,
        "class_name": "benign",
        "subject": "benign/deeper/y.nii.gz",
    }
    assert [Path(item["image"]).name for item in items] == ["y.nii.gz", "z.dcm", "z.jpeg", "a.png", "b.PNG"]
    assert [item["label"] for item in items] == [0, 0, 0, 1, 1]
    assert len({item["subject"] for item in items}) == 5


def test_paths_are_absolute_and_the_order_does_not_depend_on_the_file_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch(tmp_path, *(f"{folder}/{name}.png" for folder in "ba" for name in ("2", "10", "1")))
    monkeypatch.chdir(tmp_path)
    items = class_folder_items(".")
    assert [Path(item["image"]).name for item in items] == ["1.png", "10.png", "2.png"] * 2
    assert all(Path(item["image"]).is_absolute() for item in items)


def test_a_flat_folder_has_no_labels(tmp_path: Path) -> None:
    touch(tmp_path, "b.png", "a.tif", "notes.txt", ".hidden.png")
    assert class_folder_items(tmp_path) == [
        {"image": str(tmp_path.resolve() / "a.tif"), "subject": "a.tif"},
        {"image": str(tmp_path.resolve() / "b.png"), "subject": "b.png"},
    ]
    assert class_folder_names(tmp_path) == ()


def test_what_is_no_image_is_left_out(tmp_path: Path) -> None:
    touch(tmp_path, "a/1.png", "a/2.png", "a/.DS_Store", "a/._1.png", "a/notes.csv", "a/.git/3.png", "readme.txt")
    touch(tmp_path, "__MACOSX/a/1.png", ".cache/x.png")
    assert [item["subject"] for item in class_folder_items(tmp_path)] == ["a/1.png", "a/2.png"]


def test_suffixes(tmp_path: Path) -> None:
    touch(tmp_path, "a/1.png", "a/1_mask.png", "a/2.png", "a/2_mask.png", "a/3.nii", "a/3.nii.gz")
    assert [item["subject"] for item in class_folder_items(tmp_path, suffixes=["_mask.png"])] == [
        "a/1_mask.png",
        "a/2_mask.png",
    ]
    assert len(class_folder_items(tmp_path, suffixes=[".nii", ".NII.GZ"])) == 2


def test_linked_classes_are_followed(tmp_path: Path) -> None:
    touch(tmp_path, "store/1.png", "store/2.png", "set/a/1.png", "set/a/2.png")
    (tmp_path / "set" / "b").symlink_to(tmp_path / "store")
    assert Counter(item["class_name"] for item in class_folder_items(tmp_path / "set")) == {"a": 2, "b": 2}


@pytest.mark.parametrize(
    "subject",
    [
        r"_p(\d+)_",
        re.compile(r"_P(\d+)_", re.IGNORECASE),
        lambda path: path.rsplit("_", 2)[1][1:],
    ],
)
def test_subjects_out_of_names(tmp_path: Path, subject: Any) -> None:
    touch(tmp_path, *(f"{name}/x_p{number}_{view}.png" for name in "ab" for number in range(5) for view in "lr"))
    items = class_folder_items(tmp_path, subject)
    assert [item["subject"] for item in items[:4]] == ["0", "0", "1", "1"]
    train, test = split_by_subject(items, "subject", (0.6, 0.4))
    assert not {item["subject"] for item in train} & {item["subject"] for item in test}


def test_a_folder_per_subject(tmp_path: Path) -> None:
    touch(tmp_path, "a/anna/1.png", "a/anna/2.png", "b/ben/1.png", "b/cora/1.png")
    items = class_folder_items(tmp_path, r"^[^/]+/([^/]+)/")
    assert [item["subject"] for item in items] == ["anna", "anna", "ben", "cora"]


@pytest.mark.parametrize(
    ("subject", "words"),
    [
        (r"_p(\d+)_", r"gives no name for 1 files: b/y\.png"),
        (r"_p()_|y", r"gives no name for 2 files: a/x_p1_\.png, a/x_p2_\.png"),
        (r"_p(\d+)_|y", r"gives no name for 1 files: b/y\.png"),
        (r"_p\d+", "with 0 groups, exactly one is needed"),
        (r"(_p)(\d+)", "with 2 groups, exactly one is needed"),
        ("(", "no regular expression"),
        (lambda path: None, "gives no name for 2 files"),
        (lambda path: 1, "gives no name for 2 files"),
    ],
)
def test_subjects_that_are_not_there_are_named(tmp_path: Path, subject: Any, words: str) -> None:
    touch(tmp_path, "a/x_p1_.png", "a/x_p2_.png", "b/y.png", "b/x_p3_.png")
    with pytest.raises(ValueError, match=words):
        class_folder_items(tmp_path, subject)


def test_empty_classes_and_single_images_are_named(tmp_path: Path) -> None:
    touch(tmp_path, "a/1.png", "a/2.png", "b/1.txt")
    with pytest.raises(ValueError, match=r"/b has 0 images \(\.png, .*at least two"):
        class_folder_items(tmp_path)
    touch(tmp_path, "b/1.png")
    with pytest.raises(ValueError, match="/b has 1 images"):
        class_folder_items(tmp_path)
    for folder, n in (("empty", 0), ("one", 1)):
        (tmp_path / folder).mkdir()
        touch(tmp_path / folder, *(f"{i}.png" for i in range(n)))
        with pytest.raises(ValueError, match=f"/{folder} has {n} images"):
            class_folder_items(tmp_path / folder)


def test_images_beside_classes_are_named(tmp_path: Path) -> None:
    touch(tmp_path, "a/1.png", "a/2.png", "stray.png")
    with pytest.raises(ValueError, match=r"has classes \['a'\] and images beside them: .*/stray\.png"):
        class_folder_items(tmp_path)


def test_folders_that_are_not_there(tmp_path: Path) -> None:
    for function in (class_folder_items, class_folder_names):
        with pytest.raises(FileNotFoundError, match=r"nothing is not a folder"):
            function(tmp_path / "nothing")
        with pytest.raises(FileNotFoundError, match=r"file\.png is not a folder"):
            function(touch(tmp_path, "file.png") / "file.png")


def test_real_ultrasound(genaug_data: Path) -> None:
    folder = genaug_data / "busi_128"
    if not folder.is_dir():
        pytest.skip(f"{genaug_data} has no busi_128")
    items = class_folder_items(folder)
    assert class_folder_names(folder) == ("benign", "malignant", "normal")
    assert Counter(item["class_name"] for item in items) == {
        path.name: len(list(path.glob("*.png"))) for path in folder.iterdir()
    }
