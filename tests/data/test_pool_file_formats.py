# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import torch
from monai.transforms import LoadImaged
from PIL import Image
from torch import Tensor

from monai_genaug.data.pool_file_formats import (
    PoolFileFormat,
    _check_format,
    _item_files,
    _read_pool_file,
    _write_pool_file,
)
from monai_genaug.generators import GeneratorSpec, OutputSpec
from monai_genaug.generators.geometry import voxel_affine
from tests.toy import toy_spec

KEYS = {"image": "image", "mask": "label"}
SUFFIXES: dict[PoolFileFormat, str] = {"nifti": ".nii.gz", "png": ".png", "npz": ".npz"}
LOADERS: dict[PoolFileFormat, dict[str, Any]] = {
    "nifti": {},
    "png": {"reader": "PILReader", "reverse_indexing": False},
    "npz": {"reader": "NumpyReader", "npz_keys": "image", "channel_dim": 0},
}


def spec_of(shape: tuple[int, ...], channels: int = 1, labels: str = "uint8", **changes: Any) -> GeneratorSpec:
    outputs = {
        "image": OutputSpec("image", channels, (-1.0, 1.0), "float32"),
        "mask": OutputSpec("mask", 1, (0, 3), labels, ("a", "b", "c", "d")),
    }
    return toy_spec(shape, outputs=outputs, encodes=(), **changes)


def item_of(spec: GeneratorSpec) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    shape = (spec.outputs["image"].channels, *spec.spatial_shape)
    kind = getattr(torch, spec.outputs["mask"].dtype)
    mask = torch.randint(0, 4, (1, *spec.spatial_shape), generator=generator).to(kind)
    return {"image": torch.rand(shape, generator=generator) * 2 - 1, "mask": mask}


def write(folder: Path, item: dict[str, Tensor], file_format: PoolFileFormat, spec: GeneratorSpec) -> dict[str, Path]:
    """Writes all files of an item; output name -> its file."""
    _check_format(file_format, spec)
    paths = {}
    for name, outputs in _item_files(file_format, KEYS, 7).items():
        (folder / name).parent.mkdir(exist_ok=True)
        _write_pool_file(folder / name, {output: item[output] for output in outputs}, file_format, spec)
        paths |= dict.fromkeys(outputs, folder / name)
    return paths


@pytest.mark.parametrize(
    ("file_format", "shape", "channels", "labels"),
    [
        ("nifti", (5, 7), 1, "uint8"),
        ("nifti", (5, 7, 3), 1, "int16"),
        ("nifti", (5, 7, 3), 2, "int32"),
        ("nifti", (5, 7, 1), 3, "int64"),
        ("npz", (5, 7), 3, "int64"),
        ("npz", (5, 7, 3), 1, "uint8"),
        ("npz", (6,), 1, "int16"),
    ],
)
def test_lossless_round_trips(
    tmp_path: Path, file_format: PoolFileFormat, shape: tuple[int, ...], channels: int, labels: str
) -> None:
    spec = spec_of(shape, channels, labels, orientation=None)
    item = item_of(spec)
    if labels == "int64":
        item["mask"][0, 0] = 2**40  # no float holds its neighbours
        item["mask"][0, 1] = 2**53 + 1
    for name, path in write(tmp_path, item, file_format, spec).items():
        array = _read_pool_file(path, [name], file_format, spec)[name]
        assert array.dtype == np.dtype(spec.outputs[name].dtype)
        assert array.tobytes() == item[name].numpy().tobytes()


@pytest.mark.parametrize("channels", [1, 3])
def test_png_has_256_levels(tmp_path: Path, channels: int) -> None:
    spec = spec_of((5, 7), channels, "int16")
    item = item_of(spec)
    item["image"][:, 0, 0], item["image"][:, 0, 1] = -1, 1
    paths = write(tmp_path, item, "png", spec)
    pixels = np.asarray(Image.open(paths["image"])).reshape(5, 7, channels).transpose(2, 0, 1)
    np.testing.assert_array_equal(pixels, np.rint((item["image"].double().numpy() + 1) / 2 * 255))
    np.testing.assert_array_equal(np.asarray(Image.open(paths["mask"])), item["mask"][0])
    found = {name: _read_pool_file(path, [name], "png", spec)[name] for name, path in paths.items()}
    assert np.abs(found["image"] - item["image"].numpy()).max() <= 1 / 255 + 1e-6
    assert found["image"].min() == -1
    assert found["image"].max() == 1
    assert found["mask"].dtype == np.int16
    np.testing.assert_array_equal(found["mask"], item["mask"])
    again = write(tmp_path, {**item, "image": torch.from_numpy(found["image"])}, "png", spec)
    np.testing.assert_array_equal(
        np.asarray(Image.open(again["image"])).reshape(5, 7, channels).transpose(2, 0, 1), pixels
    )


@pytest.mark.parametrize(
    ("file_format", "shape", "channels"),
    [
        ("nifti", (5, 7), 1),
        ("nifti", (5, 7, 3), 1),
        ("nifti", (5, 7, 3), 2),
        ("png", (5, 7), 1),
        ("png", (5, 7), 3),
        ("npz", (5, 7), 3),
        ("npz", (5, 7, 3), 2),
    ],
)
def test_monai_reads_the_array(
    tmp_path: Path, file_format: PoolFileFormat, shape: tuple[int, ...], channels: int
) -> None:
    spec = spec_of(shape, channels)
    item = item_of(spec)
    paths = write(tmp_path, item, file_format, spec)
    loaded = LoadImaged("image", ensure_channel_first=True, **LOADERS[file_format])({"image": paths["image"]})["image"]
    expected = item["image"]
    if file_format == "png":
        loaded, expected = loaded / 255, (expected + 1) / 2
    assert loaded.shape == expected.shape
    torch.testing.assert_close(
        loaded.as_tensor(), expected, rtol=0, atol=0.5 / 255 + 1e-6 if file_format == "png" else 0
    )


def test_monai_swaps_the_axes_of_pictures_by_default(tmp_path: Path) -> None:
    spec = spec_of((5, 7))
    item = item_of(spec)
    path = write(tmp_path, item, "png", spec)["mask"]
    loaded = LoadImaged("mask", ensure_channel_first=True)({"mask": path})["mask"]
    assert torch.equal(loaded.as_tensor(), item["mask"].mT.float())


def test_nifti_header(tmp_path: Path) -> None:
    spec = spec_of((4, 5, 6), spacing=(0.5, 1.0, 2.0), orientation="LPS", name="brain–é" * 30)
    found = nibabel.load(write(tmp_path, item_of(spec), "nifti", spec)["image"])
    np.testing.assert_array_equal(found.affine, voxel_affine(spec))
    assert nibabel.aff2axcodes(found.affine) == ("L", "P", "S")
    assert found.header.get_xyzt_units()[0] == "mm"
    assert found.header.get_data_dtype() == np.float32
    assert np.isnan(found.header["scl_slope"])
    assert bytes(found.header["descrip"]).startswith(b"synthetic: brain")


def test_nifti_without_spacing(tmp_path: Path) -> None:
    spec = spec_of((4, 5), spacing=None)
    found = nibabel.load(write(tmp_path, item_of(spec), "nifti", spec)["mask"])
    np.testing.assert_array_equal(found.affine, np.eye(4))
    assert found.header.get_xyzt_units()[0] == "unknown"


@pytest.mark.parametrize("file_format", ["nifti", "png", "npz"])
def test_equal_items_give_equal_files(tmp_path: Path, file_format: PoolFileFormat) -> None:
    spec = spec_of((5, 7))
    first = {name: path.read_bytes() for name, path in write(tmp_path, item_of(spec), file_format, spec).items()}
    again = {name: path.read_bytes() for name, path in write(tmp_path, item_of(spec), file_format, spec).items()}
    assert first == again
    assert not list(tmp_path.glob("*/.*"))


@pytest.mark.parametrize(
    ("file_format", "expected"),
    [
        ("nifti", {"imagesTr/synthetic_000007.nii.gz": ("image",), "labelsTr/synthetic_000007.nii.gz": ("mask",)}),
        ("png", {"imagesTr/synthetic_000007.png": ("image",), "labelsTr/synthetic_000007.png": ("mask",)}),
        ("npz", {"itemsTr/synthetic_000007.npz": ("image", "mask")}),
    ],
)
def test_files_of_an_item(file_format: PoolFileFormat, expected: dict[str, Any]) -> None:
    assert _item_files(file_format, KEYS, 7) == expected


def test_outputs_with_keys_of_their_own_have_folders_of_their_own() -> None:
    assert list(_item_files("nifti", {"t1": "t1", "t2": "t2"}, 0)) == [
        "t1Tr/synthetic_000000.nii.gz",
        "t2Tr/synthetic_000000.nii.gz",
    ]


@pytest.mark.parametrize(
    ("file_format", "spec", "text"),
    [
        ("jpg", spec_of((4, 4)), r"file_format is 'jpg', allowed: \('nifti', 'png', 'npz'\)"),
        ("nifti", spec_of((4, 4), 3), "nifti files cannot hold 'image' with 3 channels and 2 spatial axes"),
        ("nifti", spec_of((4,), orientation=None), "with 1 channels and 1 spatial axes"),
        ("png", spec_of((4, 4, 4)), "png files cannot hold the image 'image' with 1 channels, 3 spatial axes"),
        ("png", spec_of((4, 4), 2), "with 2 channels, 2 spatial axes"),
        (
            "png",
            toy_spec((4, 4), outputs={"mask": OutputSpec("mask", 1, (0, 256), "int16")}),
            r"the mask 'mask' .* values in \(0\.0, 256\.0\)",
        ),
        ("png", toy_spec((4, 4), outputs={"mask": OutputSpec("mask", 3, (0, 1), "uint8")}), "mask 'mask' with 3 chann"),
        (
            "npz",
            toy_spec((4, 4), outputs={"../x": OutputSpec("mask", 1, (0, 1), "uint8")}),
            r"'\.\./x' of 'toy' cannot",
        ),
        ("npz", toy_spec((4, 4), outputs={"file": OutputSpec("mask", 1, (0, 1), "uint8")}), "'file' of 'toy' cannot"),
    ],
)
def test_what_a_format_cannot_hold(file_format: str, spec: GeneratorSpec, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        _check_format(file_format, spec)


def test_labels_beyond_the_spec_are_not_wrapped(tmp_path: Path) -> None:
    spec = spec_of((4, 4), labels="int16")
    item = item_of(spec)
    item["mask"][0, 0, 0] = 256
    with pytest.raises(ValueError, match=r"mask 'mask' spans \[0, 256\], allowed in png files: \[0, 255\]"):
        write(tmp_path, item, "png", spec)
    assert not (tmp_path / "labelsTr" / "synthetic_000007.png").exists()


@pytest.mark.parametrize("file_format", ["nifti", "png", "npz"])
@pytest.mark.parametrize("damage", ["cut", "empty", "text"])
def test_damaged_files_are_named(tmp_path: Path, file_format: PoolFileFormat, damage: str) -> None:
    spec = spec_of((16, 16))
    path = write(tmp_path, item_of(spec), file_format, spec)["image"]
    data = path.read_bytes()
    path.write_bytes({"cut": data[: len(data) // 2], "empty": b"", "text": b"no image"}[damage])
    with pytest.raises(ValueError, match=rf"{path.name} is damaged"):
        _read_pool_file(path, ["image"], file_format, spec)


@pytest.mark.parametrize("file_format", ["nifti", "png", "npz"])
def test_files_of_another_shape_are_named(tmp_path: Path, file_format: PoolFileFormat) -> None:
    path = write(tmp_path, item_of(spec_of((5, 7))), file_format, spec_of((5, 7)))["image"]
    with pytest.raises(
        ValueError, match=rf"{path.name} holds 'image' as float32 \(1, 5, 7\), expected float32 \(1, 7, 5\)"
    ):
        _read_pool_file(path, ["image"], file_format, spec_of((7, 5)))


def test_objects_in_npz_files_are_not_loaded(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", image=np.array([{"code": "anything"}], dtype=object))
    with pytest.raises(ValueError, match=r"a\.npz is damaged: .*allow_pickle=False"):
        _read_pool_file(tmp_path / "a.npz", ["image"], "npz", spec_of((4, 4)))


def test_pictures_of_16_bits_are_refused(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((4, 4), np.uint16)).save(tmp_path / "a.png")
    with pytest.raises(ValueError, match=r"a\.png is damaged: .*pixels are uint16, expected uint8"):
        _read_pool_file(tmp_path / "a.png", ["image"], "png", spec_of((4, 4)))
