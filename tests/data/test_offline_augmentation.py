# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import copy
import json
import multiprocessing
import os
import random
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import torch
from filelock import FileLock
from monai.data import Dataset, load_decathlon_datalist
from monai.transforms import Compose, LoadImaged, RandFlipd, RandGaussianNoised, RandRotate90d, RandSpatialCropSamplesd
from PIL import Image

from monai_genaug.data.decathlon import decathlon_items
from monai_genaug.data.offline_augmentation import read_augmented, write_augmented
from monai_genaug.transforms.classical import classical_recipe


def make_items(count: int = 5) -> list[dict[str, Any]]:
    state = np.random.RandomState(0)
    return [
        {"image": state.randint(0, 256, (3, 8, 6)).astype(np.uint8), "label": i % 2, "subject": f"s{i}"}
        for i in range(count)
    ]


def pixels(path: str) -> np.ndarray:
    return np.asarray(Image.open(path)).transpose(2, 0, 1)


def content(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def invert(item: dict[str, Any]) -> dict[str, Any]:
    return {**item, "image": 1 - item["image"]}


@pytest.mark.parametrize(
    ("volume", "expected"),
    [
        ("half", [(0, True), (2, True), (4, True)]),
        ("same", [(i, True) for i in range(5)]),
        ("double", [(i, False) for i in range(5)] + [(i, True) for i in range(5)]),
    ],
)
def test_volumes(tmp_path: Path, volume: Any, expected: list[tuple[int, bool]]) -> None:
    items = make_items()
    written = write_augmented(items, tmp_path / "out", invert, volume, progress=False)
    assert [(entry["source"], entry["augmented"]) for entry in written] == expected
    for entry in written:
        item = items[entry["source"]]
        assert (entry["label"], entry["subject"]) == (item["label"], item["subject"])
        values = item["image"]
        np.testing.assert_array_equal(pixels(entry["image"]), 255 - values if entry["augmented"] else values)
    assert len(content(tmp_path / "out")) == len(expected) + 1
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_result_is_what_is_read_back(tmp_path: Path) -> None:
    written = write_augmented(make_items(), tmp_path / "out", invert, progress=False)
    assert read_augmented(tmp_path / "out") == written
    (tmp_path / "out").rename(tmp_path / "moved")
    moved = read_augmented(tmp_path / "moved")
    assert moved[0]["image"] == str((tmp_path / "moved" / "image" / "000000_original.png").resolve())


def test_monai_reads_the_list(tmp_path: Path) -> None:
    written = write_augmented(make_items(), tmp_path / "out", invert, progress=False)
    listed = load_decathlon_datalist(tmp_path / "out" / "datalist.json", is_segmentation=False)
    assert [Path(entry["image"]).resolve() for entry in listed] == [Path(entry["image"]) for entry in written]
    assert [entry["label"] for entry in listed] == [entry["label"] for entry in written]
    assert json.loads((tmp_path / "out" / "datalist.json").read_text())["numTraining"] == 10


def noise(keys: Any = ("image",)) -> Compose:
    return Compose([RandFlipd(keys, prob=0.5, spatial_axis=1), classical_recipe("histology_noise", keys)])


def test_same_seed_same_files(tmp_path: Path) -> None:
    results = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        random.seed(len(results))
        np.random.seed(len(results))
        torch.manual_seed(len(results))
        write_augmented(make_items(), tmp_path / name, noise(), "same", seed=seed, progress=False)
        results.append(content(tmp_path / name))
    assert results[0] == results[1]
    assert results[0] != results[2]


def test_an_augmentation_depends_on_its_item_alone(tmp_path: Path) -> None:
    items = make_items()
    for volume in ("half", "same", "double"):
        write_augmented(items, tmp_path / volume, noise(), volume, progress=False)
    write_augmented(items[:3], tmp_path / "fewer", noise(), "same", progress=False)
    found = {path.name: content(path) for path in tmp_path.iterdir()}
    for name, data in found["half"].items():
        if name.startswith("image"):
            assert data == found["same"][name] == found["double"][name]
    assert found["fewer"]["image/000002_augmented.png"] == found["half"]["image/000002_augmented.png"]


def test_equal_items_get_different_augmentations(tmp_path: Path) -> None:
    items = make_items(1) * 4
    write_augmented(items, tmp_path / "out", noise(), "same", progress=False)
    images = [data for name, data in content(tmp_path / "out").items() if name.startswith("image")]
    assert len(set(images)) > 1


class _TorchNoise:
    """Draws from torch's global state, as torchvision does."""

    def __call__(self, item: dict[str, Any]) -> dict[str, Any]:
        return {**item, "image": torch.rand(item["image"].shape)}


def test_transforms_that_use_torchs_global_state(tmp_path: Path) -> None:
    before = torch.get_rng_state()
    for name in ("a", "b"):
        write_augmented(make_items(), tmp_path / name, _TorchNoise(), "same", progress=False)
    assert torch.equal(torch.get_rng_state(), before)
    assert content(tmp_path / "a") == content(tmp_path / "b")
    assert len(set(content(tmp_path / "a").values())) == 6


def test_the_callers_objects_are_left_alone(tmp_path: Path) -> None:
    items, transform = make_items(), noise()
    transform.set_random_state(3)
    twin = copy.deepcopy(transform)
    expected = copy.deepcopy(items)
    write_augmented(items, tmp_path / "out", transform, progress=False)
    assert all(np.array_equal(one["image"], two["image"]) for one, two in zip(items, expected, strict=True))
    assert torch.equal(
        transform({"image": torch.ones(3, 8, 6)})["image"], twin({"image": torch.ones(3, 8, 6)})["image"]
    )


def test_files_as_items_with_masks(tmp_path: Path) -> None:
    items = []
    for i, item in enumerate(make_items(4)):
        Image.fromarray(item["image"].transpose(1, 2, 0)).save(tmp_path / f"{i}.png")
        Image.fromarray((item["image"][0] > 128).astype(np.uint8) * 2).save(tmp_path / f"{i}_mask.png")
        items.append({"image": tmp_path / f"{i}.png", "mask": str(tmp_path / f"{i}_mask.png"), "class": "x"})
    flip = RandFlipd(("image", "mask"), prob=1.0, spatial_axis=0)
    written = write_augmented(items, tmp_path / "out", flip, mask_keys="mask", progress=False)
    for entry in written:
        source = items[entry["source"]]
        for key in ("image", "mask"):
            values = np.asarray(Image.open(source[key]))
            found = np.asarray(Image.open(entry[key]))
            np.testing.assert_array_equal(found, values[::-1] if entry["augmented"] else values)
        assert entry["class"] == "x"


def test_pairs_of_volumes(tmp_path: Path) -> None:
    affine = np.diag([1.0, 2.0, 3.0, 1.0])
    image = np.random.RandomState(0).normal(100, 10, (6, 6, 4)).astype(np.float32)
    mask = (image > 100).astype(np.uint8)
    for name, values in (("image", image), ("mask", mask)):
        nibabel.save(nibabel.Nifti1Image(values, affine), tmp_path / f"{name}.nii.gz")
    item = {"image": str(tmp_path / "image.nii.gz"), "label": str(tmp_path / "mask.nii.gz"), "subject": 7}
    both = ("image", "label")
    turn = Compose([RandRotate90d(both, prob=1.0, max_k=1), RandGaussianNoised("image", prob=1.0)])
    original, augmented = write_augmented([item], tmp_path / "out", turn, mask_keys="label", progress=False)
    read = Dataset([original, augmented], LoadImaged(both, ensure_channel_first=True))
    np.testing.assert_array_equal(read[0]["image"][0], image)
    np.testing.assert_array_equal(read[0]["image"].affine, affine)
    np.testing.assert_array_equal(read[1]["label"][0], np.rot90(mask))
    assert not np.array_equal(read[1]["image"].affine, affine)
    assert 0 < np.abs(read[1]["image"][0].numpy() - np.rot90(image)).max() < 2
    assert read[1]["subject"] == 7
    listed = load_decathlon_datalist(tmp_path / "out" / "datalist.json", is_segmentation=True)
    assert Path(listed[1]["label"]).is_file()


@pytest.mark.parametrize("name", ["medmnist_colour", "histology_invert_flip"])
def test_classical_recipes(tmp_path: Path, name: str) -> None:
    written = write_augmented(make_items(), tmp_path / "out", classical_recipe(name), "same", progress=False)
    assert all(pixels(entry["image"]).shape == (3, 8, 6) for entry in written)


def test_other_fields_are_stored_as_plain_values(tmp_path: Path) -> None:
    fields = {"age": np.float32(1.5), "labels": torch.tensor([0, 1]), "tags": ("a", None), "report": "long " * 2000}
    entry = write_augmented([make_items(1)[0] | fields], tmp_path / "out", invert, "same", progress=False)[0]
    assert (entry["age"], entry["labels"], entry["tags"]) == (1.5, [0, 1], ["a", None])
    assert entry["report"] == fields["report"]


def fails_late(item: dict[str, Any]) -> dict[str, Any]:
    if item["subject"] == "s3":
        raise OSError("broken")
    return item


def test_a_failure_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="broken"):
        write_augmented(make_items(), tmp_path / "out", fails_late, progress=False)
    assert not list(tmp_path.iterdir())


def _killed(folder: Path) -> None:
    def die(item: dict[str, Any]) -> dict[str, Any]:
        if item["subject"] == "s3":
            os.kill(os.getpid(), signal.SIGKILL)
        return item

    write_augmented(make_items(), folder, die, progress=False)


def test_a_second_run_starts_again_after_a_kill(tmp_path: Path) -> None:
    process = multiprocessing.get_context("fork").Process(target=_killed, args=(tmp_path / "out",))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert not (tmp_path / "out").exists()
    assert len(content(tmp_path / "out.augmenting")) == 8
    written = write_augmented(make_items(), tmp_path / "out", invert, "half", progress=False)
    assert len(written) == 3
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert len(content(tmp_path / "out")) == 4


def test_two_processes_do_not_write_one_folder(tmp_path: Path) -> None:
    with FileLock(tmp_path / "out.lock"), pytest.raises(RuntimeError, match=r"another process is writing .*out"):
        write_augmented(make_items(), tmp_path / "out", invert, progress=False)
    assert not (tmp_path / "out").exists()


def test_an_existing_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with pytest.raises(ValueError, match="exists already"):
        write_augmented(make_items(), tmp_path / "out", invert, progress=False)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_progress_is_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_augmented(make_items(2), tmp_path / "out", invert)
    assert "augment out: 100%" in capsys.readouterr().err
    write_augmented(make_items(2), tmp_path / "quiet", invert, progress=False)
    assert capsys.readouterr().err == ""


BAD_ARGUMENTS: list[tuple[dict[str, Any], str]] = [
    ({"volume": "triple"}, r"volume is 'triple', allowed: \('half', 'same', 'double'\)"),
    ({"seed": -1}, "seed is -1"),
    ({"seed": 0.5}, r"seed is 0\.5"),
    ({"items": []}, "no items"),
    ({"keys": ()}, "at least one image"),
    ({"mask_keys": "image"}, "no key twice"),
    ({"keys": ("source",)}, "none of"),
    ({"keys": ("a/b",)}, "each of letters"),
    ({"keys": ("picture",)}, r"item 0 has the keys \['image', 'label', 'subject'\], without \['picture'\]"),
    ({"transform": "flip"}, "transform is 'flip'"),
    ({"transform": lambda item: [item, item]}, "transform made list of item 0"),
    ({"transform": lambda item: {"label": 1}}, r"transform made \['label'\] of item 0, allowed: .* \['image'\]"),
    ({"transform": RandSpatialCropSamplesd("image", 4, num_samples=2)}, "transform made list"),
    ({"transform": classical_recipe("histology_flip", normalize=(0.5, 0.1))}, "'image' of item 0 cannot be written"),
    ({"items": [{"image": np.zeros((8, 8))}]}, "'image' of item 0 cannot be read: shape"),
    ({"items": [{"image": np.zeros((1, 8, 8)), "report": object()}]}, "'report' of item 0 cannot be stored"),
    ({"items": [{"image": np.zeros((1, 8, 8)), "age": float("nan")}]}, "'age' of item 0 cannot be stored"),
    ({"items": [{"image": np.zeros((1, 8, 8)), "mask": __file__}]}, "'mask' of item 0 is the file .* mask_keys"),
    ({"folder": "missing/out"}, "is not a folder"),
]


@pytest.mark.parametrize(("changes", "text"), BAD_ARGUMENTS)
def test_bad_arguments_leave_nothing(tmp_path: Path, changes: dict[str, Any], text: str) -> None:
    arguments: dict[str, Any] = {"items": make_items(), "transform": invert, "volume": "same", **changes}
    arguments["folder"] = tmp_path / arguments.get("folder", "out")
    with pytest.raises(ValueError, match=text):
        write_augmented(**arguments, progress=False)
    assert not list(tmp_path.iterdir())


def test_missing_files_are_named(tmp_path: Path) -> None:
    items = [{"image": str(tmp_path / name)} for name in ("a.png", "b.png")]
    with pytest.raises(FileNotFoundError, match=r"2 of 2 files are missing: .*a\.png, .*b\.png"):
        write_augmented(items, tmp_path / "out", invert, progress=False)


def _drop(record: dict[str, Any]) -> str:
    del record["training"]
    return json.dumps(record)


@pytest.mark.parametrize(
    "damage", [lambda record: "{", lambda record: "[]", _drop, lambda record: json.dumps({**record, "format": "x"})]
)
def test_other_lists_are_refused(tmp_path: Path, damage: Callable[[dict[str, Any]], str]) -> None:
    write_augmented(make_items(2), tmp_path / "out", invert, progress=False)
    path = tmp_path / "out" / "datalist.json"
    path.write_text(damage(json.loads(path.read_text())))
    with pytest.raises(ValueError, match="is no list of augmented items"):
        read_augmented(tmp_path / "out")


def test_incomplete_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"datalist\.json does not exist"):
        read_augmented(tmp_path)
    written = write_augmented(make_items(2), tmp_path / "out", invert, progress=False)
    Path(written[1]["image"]).unlink()
    with pytest.raises(FileNotFoundError, match=r"1 of 4 files are missing: .*000001_original\.png"):
        read_augmented(tmp_path / "out")


def test_real_volumes(hippocampus_dir: Path, tmp_path: Path) -> None:
    items = decathlon_items(hippocampus_dir)[:2]
    flip = RandFlipd(("image", "label"), prob=1.0, spatial_axis=0)
    written = write_augmented(items, tmp_path / "out", flip, mask_keys="label", progress=False)
    loaded = Dataset(written, LoadImaged(("image", "label")))
    assert [entry["subject"] for entry in written] == [items[0]["subject"], items[1]["subject"]] * 2
    for i in range(2):
        assert torch.equal(loaded[i + 2]["label"].as_tensor(), loaded[i]["label"].as_tensor().flip(0))
