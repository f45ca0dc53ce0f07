# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from monai_genaug.data.medmnist import medmnist_info, medmnist_items, medmnist_names

PARTS = ("train", "val", "test")
# Classes of each set in table 2 of Yang et al. (2023), in its order.
CLASSES = {
    "pathmnist": 9, "chestmnist": 14, "dermamnist": 7, "octmnist": 4, "pneumoniamnist": 2, "retinamnist": 5,
    "breastmnist": 2, "bloodmnist": 8, "tissuemnist": 8, "organamnist": 11, "organcmnist": 11, "organsmnist": 11,
    "organmnist3d": 11, "nodulemnist3d": 2, "adrenalmnist3d": 2, "fracturemnist3d": 3, "vesselmnist3d": 2,
    "synapsemnist3d": 2,
}  # fmt: skip


def write_set(folder: Path, name: str, size: int = 28, **changes: Any) -> Path:
    """A file like the official one, with 5, 2 and 3 random images in its parts; image i of a part has the corner i."""
    info = medmnist_info(name)
    rng = np.random.default_rng(0)
    arrays: dict[str, Any] = {}
    for part, n in zip(PARTS, (5, 2, 3), strict=True):
        shape = (n,) + (size,) * info.spatial_dims + ((3,) if info.channels == 3 else ())
        images = rng.integers(0, 256, shape, dtype=np.uint8)
        images.reshape(n, -1)[:, 0] = range(n)
        labels = np.arange(n) % len(info.class_names)
        multi = (np.arange(len(info.class_names)) == labels[:, None]).astype(np.uint8)
        arrays[f"{part}_images"] = images
        arrays[f"{part}_labels"] = multi if info.task == "multi-label" else labels[:, None].astype(np.uint8)
    path = folder / (f"{name}.npz" if size == 28 else f"{name}_{size}.npz")
    np.savez_compressed(path, **{**arrays, **changes})
    return path


def test_the_sets_are_the_published_ones() -> None:
    assert medmnist_names() == tuple(CLASSES)
    for name, n_classes in CLASSES.items():
        info = medmnist_info(name)
        assert (info.name, len(set(info.class_names))) == (name, n_classes)
        assert info.spatial_dims == (3 if name.endswith("3d") else 2)
        assert info.sizes == ((28, 64) if name.endswith("3d") else (28, 64, 128, 224))
        assert (info.task == "binary-class") == (n_classes == 2)
    colour = [name for name in CLASSES if medmnist_info(name).channels == 3]
    assert colour == ["pathmnist", "dermamnist", "retinamnist", "bloodmnist"]
    assert [name for name in CLASSES if medmnist_info(name).licence != "CC-BY-4.0"] == ["dermamnist"]
    assert medmnist_info("dermamnist").licence == "CC-BY-NC-4.0"
    assert medmnist_info("chestmnist").task == "multi-label"
    assert medmnist_info("retinamnist").task == "ordinal-regression"
    assert medmnist_info("breastmnist").class_names == ("malignant", "normal, benign")


def test_the_records_agree_with_the_package() -> None:
    package = pytest.importorskip("medmnist", reason="the package medmnist is not installed")
    assert tuple(package.INFO) == medmnist_names()
    for name, official in package.INFO.items():
        info = medmnist_info(name)
        assert info.channels == official["n_channels"]
        assert info.class_names == tuple(official["label"][str(number)] for number in range(len(info.class_names)))
        assert len(official["label"]) == len(info.class_names)
        assert official["task"].startswith(info.task)
        assert info.licence == official["license"].replace(" ", "-")
        assert info.sizes[1:] == tuple(size for size in (64, 128, 224) if f"url_{size}" in official)


def test_grey_images(tmp_path: Path) -> None:
    with np.load(write_set(tmp_path, "octmnist")) as stored:
        images = stored["test_images"]
    items = medmnist_items("octmnist", tmp_path, "test")
    assert [item["subject"] for item in items] == ["octmnist-test-0", "octmnist-test-1", "octmnist-test-2"]
    assert [item["label"] for item in items] == [0, 1, 2]
    assert all(type(item["label"]) is int for item in items)
    for item, image in zip(items, images, strict=True):
        assert item["image"].dtype == np.uint8
        assert np.array_equal(item["image"], image[None])


def test_colour_images_have_their_channels_first_and_rows_before_columns(tmp_path: Path) -> None:
    with np.load(write_set(tmp_path, "bloodmnist", 64)) as stored:
        image = stored["val_images"][1]
    item = medmnist_items("bloodmnist", tmp_path, "val", size=64)[1]
    assert item["image"].shape == (3, 64, 64)
    assert [item["image"][c, 10, 50] for c in range(3)] == image[10, 50].tolist()


def test_volumes(tmp_path: Path) -> None:
    write_set(tmp_path, "vesselmnist3d")
    items = medmnist_items("vesselmnist3d", str(tmp_path), "train")
    assert {item["image"].shape for item in items} == {(1, 28, 28, 28)}
    assert [int(item["image"][0, 0, 0, 0]) for item in items] == [0, 1, 2, 3, 4]


def test_labels_of_several_findings(tmp_path: Path) -> None:
    write_set(tmp_path, "chestmnist")
    labels = [item["label"] for item in medmnist_items("chestmnist", tmp_path, "train")]
    assert labels[3] == [0, 0, 0, 1] + [0] * 10
    assert type(labels[3][3]) is int


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("mnist", "train"), "no set 'mnist', allowed: pathmnist, chestmnist"),
        (("BreastMNIST", "train"), "no set 'BreastMNIST'"),
        (("breastmnist", "validation"), "part is 'validation', allowed: train, val, test"),
        (("breastmnist", "train", 32), r"size is 32, breastmnist has \(28, 64, 128, 224\)"),
        (("adrenalmnist3d", "train", 128), r"size is 128, adrenalmnist3d has \(28, 64\)"),
    ],
)
def test_bad_arguments_are_named(tmp_path: Path, arguments: tuple[Any, ...], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        medmnist_items(arguments[0], tmp_path, *arguments[1:])


def test_missing_files_are_named(tmp_path: Path) -> None:
    write_set(tmp_path, "breastmnist")
    with pytest.raises(FileNotFoundError, match=r"breastmnist_64\.npz does not exist; download=True"):
        medmnist_items("breastmnist", tmp_path, "train", size=64)


@pytest.mark.parametrize(
    "changes",
    [
        {"train_images": np.zeros((5, 28, 28), np.float32)},
        {"train_images": np.zeros((5, 28, 28, 3), np.uint8)},
        {"train_images": np.zeros((5, 32, 32), np.uint8)},
        {"train_images": np.zeros((0, 28, 28), np.uint8), "train_labels": np.zeros((0, 1), np.uint8)},
        {"train_labels": np.zeros((4, 1), np.uint8)},
        {"train_labels": np.zeros(5, np.uint8)},
        {"train_labels": np.full((5, 1), 2, np.uint8)},
        {"train_labels": np.full((5, 1), -1, np.int8)},
        {"train_labels": np.zeros((5, 1), np.float32)},
    ],
)
def test_files_of_another_set_are_refused(tmp_path: Path, changes: dict[str, Any]) -> None:
    path = write_set(tmp_path, "breastmnist", **changes)
    with pytest.raises(ValueError, match=f"{path} holds .*breastmnist has"):
        medmnist_items("breastmnist", tmp_path, "train")


def test_unreadable_files_are_named(tmp_path: Path) -> None:
    path = write_set(tmp_path, "breastmnist")
    content = path.read_bytes()
    damaged = bytearray(content)
    damaged[200] ^= 255
    single = tmp_path / "array.npy"
    np.save(single, np.zeros(3))
    for data in (b"", b"text", content[:-300], bytes(damaged), single.read_bytes()):
        path.write_bytes(data)
        with pytest.raises(ValueError, match=f"{path} is no readable MedMNIST file"):
            medmnist_items("breastmnist", tmp_path, "train")
    np.savez(path, images=np.zeros(3))
    with pytest.raises(ValueError, match="with the part 'val'"):
        medmnist_items("breastmnist", tmp_path, "val")


def test_pickles_are_not_loaded(tmp_path: Path) -> None:
    write_set(tmp_path, "breastmnist", train_labels=np.array([[0], "x"], dtype=object))
    with pytest.raises(ValueError, match="no readable MedMNIST file"):
        medmnist_items("breastmnist", tmp_path, "train")


# A package with the interface of medmnist 3 that writes a file instead of downloading one.
PACKAGE = """
import numpy as np
from pathlib import Path
INFO = {"breastmnist": {"python_class": "BreastMNIST"}}
class BreastMNIST:
    def __init__(self, split, download=False, root=None, size=None):
        assert download and Path(root).is_dir() and size in (28, 64)
        parts = {f"{p}_images": np.zeros((2, size, size), np.uint8) for p in ("train", "val", "test")}
        parts |= {f"{p}_labels": np.zeros((2, 1), np.uint8) for p in ("train", "val", "test")}
        np.savez(Path(root) / ("breastmnist.npz" if size == 28 else f"breastmnist_{size}.npz"), **parts)
"""
OLD_PACKAGE = """
INFO = {"breastmnist": {"python_class": "BreastMNIST"}}
class BreastMNIST:
    def __init__(self, split, download=False, root=None): ...
"""
FAILING = """
from pathlib import Path
INFO = {"breastmnist": {"python_class": "BreastMNIST"}}
class BreastMNIST:
    def __init__(self, split, download=False, root=None, size=None):
        (Path(root) / "breastmnist.npz").write_bytes(b"half")
        raise RuntimeError("Automatic download failed!")
"""


def install(folder: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "packages").mkdir()
    (folder / "packages" / "medmnist.py").write_text(text)
    monkeypatch.syspath_prepend(str(folder / "packages"))
    monkeypatch.delitem(sys.modules, "medmnist", raising=False)


@pytest.mark.parametrize(("size", "file"), [(28, "breastmnist.npz"), (64, "breastmnist_64.npz")])
def test_downloads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int, file: str) -> None:
    install(tmp_path, PACKAGE, monkeypatch)
    items = medmnist_items("breastmnist", tmp_path / "data" / "sets", "train", size=size, download=True)
    assert len(items) == 2
    assert [path.name for path in (tmp_path / "data" / "sets").iterdir()] == [file]


def test_what_is_there_is_not_downloaded_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "medmnist", None)
    write_set(tmp_path, "breastmnist")
    assert len(medmnist_items("breastmnist", tmp_path, "train", download=True)) == 5


def test_a_failed_download_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, FAILING, monkeypatch)
    with pytest.raises(RuntimeError, match="download failed"):
        medmnist_items("breastmnist", tmp_path / "data", "train", download=True)
    assert list((tmp_path / "data").iterdir()) == []


def test_downloads_name_the_package_they_need(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, OLD_PACKAGE, monkeypatch)
    with pytest.raises(ImportError, match=r'too old: pip install -U "medmnist>=3"'):
        medmnist_items("breastmnist", tmp_path / "data", "train", download=True)
    monkeypatch.setitem(sys.modules, "medmnist", None)
    with pytest.raises(ImportError, match=r'pip install "medmnist>=3"'):
        medmnist_items("breastmnist", tmp_path / "data", "train", download=True)


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("breastmnist", {"train": {0: 147, 1: 399}, "val": {0: 21, 1: 57}, "test": {0: 42, 1: 114}}),
        ("pneumoniamnist", {"train": {0: 1214, 1: 3494}, "val": {0: 135, 1: 389}, "test": {0: 234, 1: 390}}),
        ("adrenalmnist3d", {"train": {0: 929, 1: 259}, "val": {0: 76, 1: 22}, "test": {0: 229, 1: 69}}),
    ],
)
def test_the_real_files(genaug_data: Path, name: str, counts: dict[str, dict[int, int]]) -> None:
    folder = genaug_data / "medmnist"
    if not (folder / f"{name}.npz").is_file():
        pytest.skip(f"{folder} has no {name}.npz")
    for part, expected in counts.items():
        items = medmnist_items(name, folder, part)
        assert Counter(item["label"] for item in items) == expected
        assert {item["image"].shape for item in items} == {(1,) + (28,) * medmnist_info(name).spatial_dims}
