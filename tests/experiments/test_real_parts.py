# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from monai_genaug.data.decathlon import decathlon_items, select_split
from monai_genaug.experiments.hippocampus_data import BUNDLE
from monai_genaug.experiments.real_parts import LabelledImages, RealParts, as_levels, load_real_parts
from monai_genaug.generators import VAEGenerator, bundle_folder, load_generator
from tests.experiments.toy_images import SIZE, FreshBars, bar_spec
from tests.toy import toy_network, toy_spec

ARRAYS = {
    "imports": ["$import numpy as np"],
    "bundle_root": "",
    "dataset_dir": "",
    "class_key": None,
    "arrays": "$dict(np.load(@dataset_dir + '/images.npz'))",
    **{
        f"{part}_items": f"$[{{'image': x, 'label': int(y)}} for x, y in zip(@arrays['{part}_x'], @arrays['{part}_y'])]"
        for part in ("train", "val", "test")
    },
}
"""Entries of a training config whose items hold arrays."""


def write_config(bundle: Path, entries: dict[str, Any]) -> Path:
    (bundle / "configs").mkdir(parents=True, exist_ok=True)
    (bundle / "configs" / "train.json").write_text(json.dumps(entries))
    return bundle


def write_arrays(folder: Path, seed: int = 0, size: int = SIZE) -> dict[str, np.ndarray[Any, Any]]:
    folder.mkdir(exist_ok=True)
    rng = np.random.default_rng(seed)
    arrays: dict[str, np.ndarray[Any, Any]] = {}
    for part, count in (("train", 7), ("val", 3), ("test", 4)):
        arrays[f"{part}_x"] = rng.integers(0, 256, (count, 1, size, size), dtype=np.uint8)
        arrays[f"{part}_y"] = np.arange(count) % 2
    np.savez(folder / "images.npz", **arrays)  # type: ignore[arg-type]
    return arrays


def test_arrays_come_back_as_they_are(tmp_path: Path) -> None:
    arrays, bundle = write_arrays(tmp_path / "data"), write_config(tmp_path / "bundle", ARRAYS)
    generator = FreshBars(bar_spec("bars"))
    parts = load_real_parts(generator, bundle, tmp_path / "data", tmp_path / "work")
    for name, part in (("train", parts.train), ("val", parts.val), ("test", parts.test)):
        assert part.labels is not None
        assert np.array_equal(part.images.numpy(), arrays[f"{name}_x"])
        assert part.labels.tolist() == arrays[f"{name}_y"].tolist()
        assert type(part.images) is torch.Tensor


def test_parts_are_kept_until_items_or_space_change(tmp_path: Path) -> None:
    write_arrays(tmp_path / "data")
    bundle, work = write_config(tmp_path / "bundle", ARRAYS), tmp_path / "work"
    generator = FreshBars(bar_spec("bars"))
    load_real_parts(generator, bundle, tmp_path / "data", work)
    before = {path.name: path.stat().st_mtime_ns for path in work.iterdir()}
    load_real_parts(generator, bundle, tmp_path / "data", work)
    renamed = FreshBars(bar_spec("others").replace(version="9", warnings=("x",), classes={0: "a", 1: "b"}))
    load_real_parts(renamed, bundle, tmp_path / "data", work)
    assert {path.name: path.stat().st_mtime_ns for path in work.iterdir()} == before
    darker = FreshBars(bar_spec("bars").replace(intensity_range=(0, 510)))
    parts = load_real_parts(darker, bundle, tmp_path / "data", work)
    assert parts.train.images.max() <= 128
    arrays = write_arrays(tmp_path / "data", seed=1)
    changed = load_real_parts(generator, bundle, tmp_path / "data", work)
    assert np.array_equal(changed.test.images.numpy(), arrays["test_x"])


def test_pictures_and_another_class_key(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    pictures = np.random.default_rng(0).integers(0, 256, (3, SIZE, SIZE), dtype=np.uint8)
    for number, picture in enumerate(pictures):
        Image.fromarray(picture).save(data / f"{number}.png")
    items = "$[{'image': @dataset_dir + f'/{i}.png', 'label': 'mask.png', 'kind': i} for i in range(3)]"
    entries = {"dataset_dir": "", "class_key": "kind", "train_items": items, "val_items": items, "test_items": items}
    generator = FreshBars(bar_spec("bars"))
    parts = load_real_parts(generator, write_config(tmp_path / "a", entries), data, tmp_path / "work")
    assert np.array_equal(parts.train.images[:, 0].numpy(), pictures)
    assert parts.train.labels is not None
    assert parts.train.labels.tolist() == [0, 1, 2]
    del entries["class_key"]
    without = load_real_parts(generator, write_config(tmp_path / "b", entries), data, tmp_path / "work")
    assert without.test.labels is None  # paths of masks are no classes


@pytest.mark.parametrize("label", ["[0, 1]", "0.5", "'benign'", "None"])
def test_labels_that_are_no_class_ids_are_none(tmp_path: Path, label: str) -> None:
    write_arrays(tmp_path / "data")
    entries = {key: str(value).replace("int(y)", label) if "items" in key else value for key, value in ARRAYS.items()}
    bundle = write_config(tmp_path / "bundle", entries)
    parts = load_real_parts(FreshBars(bar_spec("bars")), bundle, tmp_path / "data", tmp_path / "work")
    assert (parts.train.labels, parts.val.labels, parts.test.labels) == (None, None, None)


def test_what_a_config_lacks_is_named(tmp_path: Path) -> None:
    generator = FreshBars(bar_spec("bars"))
    with pytest.raises(ValueError, match=r"train\.json does not exist"):
        load_real_parts(generator, tmp_path, tmp_path, tmp_path)
    bundle = write_config(tmp_path / "bundle", {"train_items": "$[]", "val_items": ""})
    with pytest.raises(ValueError, match=r"no entries \['val_items', 'test_items'\]"):
        load_real_parts(generator, bundle, tmp_path, tmp_path)
    bundle = write_config(tmp_path / "bundle", {f"{part}_items": "$[]" for part in ("train", "val", "test")})
    with pytest.raises(ValueError, match=r"train_items of .* is an empty list"):
        load_real_parts(generator, bundle, tmp_path, tmp_path)


def test_levels_round_and_refuse_what_is_not_finite() -> None:
    images = torch.tensor([-1.0, -0.998, 0.0, 1.0])
    assert as_levels(images, (-1.0, 1.0)).tolist() == [0, 0, 128, 255]
    with pytest.raises(ValueError, match="NaN"):
        as_levels(torch.tensor([0.0, float("nan")]), (0.0, 1.0))


def test_parts_that_do_not_fit_are_refused() -> None:
    images = torch.zeros(2, 1, 14, 14, dtype=torch.uint8)
    labelled, plain = LabelledImages(images, torch.tensor([0, 1])), LabelledImages(images)
    with pytest.raises(ValueError, match="must all have labels"):
        RealParts(labelled, labelled, plain)
    with pytest.raises(ValueError, match="one shape"):
        RealParts(plain, plain, LabelledImages(images[..., 1:]))
    for bad in (images.float(), images[:0], images[0]):
        with pytest.raises(ValueError, match="needed: uint8"):
            LabelledImages(bad)
    for labels in (torch.tensor([0]), torch.tensor([0.0, 1.0]), torch.tensor([0, -1])):
        with pytest.raises(ValueError, match="needed: int64"):
            LabelledImages(images, labels)
    assert LabelledImages(images, torch.tensor([0, 1])).sha256 == labelled.sha256
    assert len({labelled.sha256, plain.sha256, LabelledImages(images, torch.tensor([1, 0])).sha256}) == 3


def test_a_shipped_config_is_evaluated(hippocampus_dir: Path, tmp_path: Path) -> None:
    bundle = tmp_path / "bundle"
    shutil.copytree(bundle_folder(BUNDLE) / "configs", bundle / "configs")
    path = bundle / "configs" / "train.json"
    config = json.loads(path.read_text())
    for part in ("train", "val", "test"):
        config[f"{part}_items"] = f"$monai_genaug.data.decathlon.select_split(@items, @split_file, '{part}')[:2]"
    path.write_text(json.dumps(config))
    parts = load_real_parts(load_generator(BUNDLE), bundle, hippocampus_dir, tmp_path / "work")
    items = select_split(decathlon_items(hippocampus_dir), bundle / "configs" / "split.json", "val")[:2]
    preprocess = load_generator(BUNDLE).preprocessing(["image"], outputs=["image"])
    expected = torch.stack([torch.as_tensor(preprocess({"image": item["image"]})["image"]) for item in items])
    assert parts.val.labels is None
    assert (parts.val.images / 255.0 - expected).abs().max() < 0.51 / 255
    assert parts.val.masks is not None
    assert parts.val.masks.shape == parts.val.images.shape
    assert set(parts.val.masks.unique().tolist()) == {0, 1, 2}
    assert parts.val.subjects == tuple(str(item["subject"]) for item in items)


@pytest.mark.parametrize(("subject", "expected"), [("str(y)", ("0", "1", "0", "1")), ("x.tobytes()", None), ("", None)])
def test_subjects_are_kept_where_items_share_one(
    tmp_path: Path, subject: str, expected: tuple[str, ...] | None
) -> None:
    write_arrays(tmp_path / "data")
    more = f", 'subject': {subject}" if subject else ""
    entries = {
        key: str(value).replace("int(y)", "int(y)" + more) if "items" in key else value for key, value in ARRAYS.items()
    }
    bundle = write_config(tmp_path / "bundle", entries)
    parts = load_real_parts(FreshBars(bar_spec("bars")), bundle, tmp_path / "data", tmp_path / "work")
    assert parts.test.subjects == expected


def test_masks_of_pairs_are_read_under_their_key(tmp_path: Path) -> None:
    arrays = write_arrays(tmp_path / "data")
    entries: dict[str, Any] = {**ARRAYS, "mask_key": "region"}
    for part in ("train", "val", "test"):
        entries[f"{part}_items"] = ARRAYS[f"{part}_items"].replace("int(y)", "0, 'region': (x > 99).astype('uint8')")
    space: dict[str, Any] = {"spacing": None, "intensity": "range", "intensity_range": (0, 255)}
    generator = VAEGenerator(toy_network((SIZE, SIZE)), toy_spec((SIZE, SIZE), **space))
    parts = load_real_parts(generator, write_config(tmp_path / "a", entries), tmp_path / "data", tmp_path / "work")
    assert parts.test.masks is not None
    assert np.array_equal(parts.test.masks.numpy(), arrays["test_x"] > 99)
    without = load_real_parts(generator, write_config(tmp_path / "b", ARRAYS), tmp_path / "data", tmp_path / "work")
    assert without.test.masks is None  # numbers are no masks
    assert torch.equal(without.test.images, parts.test.images)
