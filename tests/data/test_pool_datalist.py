# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from monai.data import load_decathlon_datalist, load_decathlon_properties

from monai_genaug.data.pool_datalist import _datalist_text, _item_classes, _read_datalist
from monai_genaug.data.pool_file_formats import PoolFileFormat
from monai_genaug.generators import GeneratorSpec, OutputSpec, Provenance
from monai_genaug.generators.pool_record import PoolRecord
from tests.toy import toy_spec

CLASSES = {3: "ill", 1: "well"}


def record_of(spec: GeneratorSpec, plan: Any = ((None, 4),), **changes: Any) -> PoolRecord:
    return PoolRecord(spec, plan, **{"seed": 5, "truncation": 0.5, "block_size": 32, **changes})


def conditional(mask: bool) -> PoolRecord:
    return record_of(toy_spec((4, 4), mask=mask, classes=CLASSES), ((3, 3), (1, 1)))


def written(record: PoolRecord, file_format: PoolFileFormat = "png") -> dict[str, Any]:
    content: dict[str, Any] = json.loads(_datalist_text(record, file_format))
    return content


def test_what_a_list_says(tmp_path: Path) -> None:
    provenance = Provenance("Data", data_licence="CC-BY-4.0", item_hashes=("ab", "cd"))
    spec = toy_spec(
        (4, 4, 4),
        modality="MRI",
        data_licence="CC-BY-NC-4.0",
        warnings=("Not for diagnosis.",),
        provenance=provenance,
    )
    record = record_of(spec)
    content = written(record, "nifti")
    assert content["description"].startswith("All items are synthetic: the generator toy 0.1.0 made them")
    assert content["description"].endswith("Not for diagnosis.")
    assert content["pool"]["identity"] == record.identity
    assert GeneratorSpec.from_dict(content["generator"]) == spec
    (tmp_path / "datalist.json").write_text(json.dumps(content))
    names = ("name", "licence", "tensorImageSize", "modality", "labels", "numTraining", "numTest")
    assert load_decathlon_properties(tmp_path / "datalist.json", names) == {
        "name": "toy",
        "licence": "CC-BY-NC-4.0",
        "tensorImageSize": "3D",
        "modality": {"0": "MRI"},
        "labels": {"0": "background", "1": "head", "2": "tail"},
        "numTraining": 4,
        "numTest": 0,
    }


def test_items_with_masks() -> None:
    record = record_of(toy_spec((4, 4)))
    assert written(record)["training"][2] == {
        "image": "./imagesTr/synthetic_000002.png",
        "label": "./labelsTr/synthetic_000002.png",
        "seed": record.item_seed(2),
        "is_synthetic": True,
    }


def test_class_ids_are_labels_unless_masks_are() -> None:
    content = written(conditional(mask=False))
    assert [entry["label"] for entry in content["training"]] == [3, 3, 3, 1]
    assert content["labels"] == content["classes"] == {"3": "ill", "1": "well"}
    content = written(conditional(mask=True))
    assert [entry["class"] for entry in content["training"]] == [3, 3, 3, 1]
    assert content["training"][0]["label"] == "./labelsTr/synthetic_000000.png"
    assert content["labels"] == {"0": "background", "1": "head", "2": "tail"}
    assert content["classes"] == {"3": "ill", "1": "well"}


def test_several_images_and_masks() -> None:
    image, mask = OutputSpec("image", 2, (0, 1), "float32"), OutputSpec("mask", 1, (0, 1), "uint8", ("no", "yes"))
    spec = toy_spec((4, 4, 4), outputs={"t1": image, "t2": image, "lesion": mask, "brain": mask}, encodes=())
    content = written(record_of(spec), "nifti")
    assert list(content["training"][0]) == ["t1", "t2", "lesion", "brain", "seed", "is_synthetic"]
    assert content["training"][0]["t2"] == "./t2Tr/synthetic_000000.nii.gz"
    assert content["modality"] == {"0": "", "1": ""}
    assert content["labels"] == {}


def test_png_lists_say_what_pixel_values_mean() -> None:
    image = OutputSpec("image", 1, (-1, 1), "float32")
    spec = toy_spec((4, 4), outputs={"image": image}, encodes=())
    assert "Pixel values 0 to 255 of images stand for [-1, 1]." in written(record_of(spec), "png")["description"]
    assert "255" not in written(record_of(spec), "npz")["description"]


def test_names_of_other_fields_are_refused() -> None:
    image = OutputSpec("image", 1, (0, 1), "float32")
    spec = toy_spec((4, 4), outputs={"image": image, "seed": image}, encodes=())
    with pytest.raises(ValueError, match="seed"):
        written(record_of(spec))
    spec = toy_spec((4, 4), outputs={"image": image, "label": image}, encodes=(), classes=CLASSES)
    with pytest.raises(ValueError, match="class_key is 'label', which is taken"):
        written(record_of(spec, ((1, 1),)))


@pytest.mark.parametrize("mask", [True, False])
def test_reading_gives_the_record_back(tmp_path: Path, mask: bool) -> None:
    record = conditional(mask)
    path = tmp_path / "datalist.json"
    path.write_text(_datalist_text(record, "npz"))
    found, file_format = _read_datalist(path)
    assert (found, file_format) == (record, "npz")
    assert found.identity == record.identity
    assert _item_classes(found) == [3, 3, 3, 1]
    monai = load_decathlon_datalist(path, is_segmentation=mask)
    assert [entry["image"] for entry in monai] == [str(tmp_path / f"itemsTr/synthetic_00000{i}.npz") for i in range(4)]
    assert [entry["seed"] for entry in monai] == [record.item_seed(i) for i in range(4)]


def test_items_may_have_further_fields(tmp_path: Path) -> None:
    content = written(conditional(mask=True))
    for entry in content["training"]:
        entry["fold"] = 0
    (tmp_path / "datalist.json").write_text(json.dumps(content))
    assert _read_datalist(tmp_path / "datalist.json")[0].count == 4


def _set_format(content: dict[str, Any]) -> None:
    content["format"] = "other/1"


def _drop_item(content: dict[str, Any]) -> None:
    del content["training"][1]


def _swap_items(content: dict[str, Any]) -> None:
    content["training"][0], content["training"][1] = content["training"][1], content["training"][0]


def _change_class(content: dict[str, Any]) -> None:
    content["training"][3]["class"] = 3


def _point_elsewhere(content: dict[str, Any]) -> None:
    content["training"][2]["image"] = "../../secret.png"


def _name_elsewhere(content: dict[str, Any]) -> None:
    outputs = content["generator"]["outputs"]
    outputs["../../mask"] = outputs.pop("mask")


def _unknown_format(content: dict[str, Any]) -> None:
    content["file_format"] = ["png"]


def _no_items(content: dict[str, Any]) -> None:
    content["training"] = {}


def _huge_plan(content: dict[str, Any]) -> None:
    content["pool"]["plan"] = [[3, 10**15]]


def _bad_spec(content: dict[str, Any]) -> None:
    content["generator"]["speed"] = 1


def _no_pool(content: dict[str, Any]) -> None:
    del content["pool"]


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (_set_format, "format is 'other/1', expected 'monai_genaug.pool_files/1'"),
        (_drop_item, "there are 3 items, but the plan has 4"),
        (_swap_items, r"item 0 has \{'image': './imagesTr/synthetic_000001.png'"),
        (_change_class, r"item 3 has \{'class': 3\}, expected \{'class': 1\}"),
        (_point_elsewhere, r"item 2 has \{'image': '../../secret.png'\}"),
        (_name_elsewhere, r"'../../mask' of 'toy' cannot name files"),
        (_unknown_format, r"file_format is \['png'\], allowed"),
        (_no_items, "there are 0 items, but the plan has 4"),
        (_huge_plan, "but the plan has 1000000000000000"),
        (_bad_spec, r"unknown fields \['speed'\]"),
        (_no_pool, "KeyError\\('pool'\\)"),
    ],
)
def test_changed_lists_are_refused(tmp_path: Path, change: Callable[[dict[str, Any]], None], text: str) -> None:
    content = written(conditional(mask=True))
    change(content)
    path = tmp_path / "datalist.json"
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=f"datalist.json is no data list of an exported pool: .*{text}"):
        _read_datalist(path)


@pytest.mark.parametrize("text", ["", "[]", "{", "\x00"])
def test_what_is_no_list(tmp_path: Path, text: str) -> None:
    (tmp_path / "datalist.json").write_text(text)
    with pytest.raises(ValueError, match=r"datalist\.json is no data list of an exported pool"):
        _read_datalist(tmp_path / "datalist.json")


def test_a_missing_list_is_named(tmp_path: Path) -> None:
    for path in (tmp_path / "datalist.json", tmp_path):
        with pytest.raises(FileNotFoundError, match=rf"{path} is no data list"):
            _read_datalist(path)
