# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from monai.transforms import LoadImage
from PIL import Image

from monai_genaug.data.augmented_files import _read_volume, _write_volume


@pytest.mark.parametrize("suffix", ["png", "tif", "bmp"])
@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 3)])
def test_pictures_are_rows_first_in_0_to_1(tmp_path: Path, suffix: str, shape: tuple[int, ...]) -> None:
    array = np.random.RandomState(0).randint(0, 256, shape).astype(np.uint8)
    Image.fromarray(array).save(tmp_path / f"a.{suffix}")
    found = _read_volume(tmp_path / f"a.{suffix}", is_mask=False)
    assert found.dtype == torch.float32
    expected = array[None] if len(shape) == 2 else array.transpose(2, 0, 1)
    np.testing.assert_allclose(found.numpy(), expected / 255, atol=1e-6)
    assert torch.equal(_read_volume(str(tmp_path / f"a.{suffix}"), is_mask=True), torch.from_numpy(expected.copy()))


def test_16_bits(tmp_path: Path) -> None:
    array = np.array([[0, 65535], [256, 1]], np.uint16)
    Image.fromarray(array).save(tmp_path / "a.png")
    for value in (tmp_path / "a.png", array[None]):
        np.testing.assert_allclose(_read_volume(value, is_mask=False)[0], array / 65535, atol=1e-6)


@pytest.mark.parametrize("dtype", [np.uint8, np.bool_, np.float32, np.float64])
def test_arrays_and_tensors(dtype: Any) -> None:
    array = np.ones((1, 4, 5), dtype)
    scale = 255 if dtype == np.uint8 else 1
    for value in (array, torch.from_numpy(array), MetaTensor(array)):
        found = _read_volume(value, is_mask=False)
        assert found.dtype == torch.float32
        assert (found * scale - 1).abs().max() < 1e-6


def test_volumes_keep_their_intensities(tmp_path: Path) -> None:
    assert _read_volume(np.full((1, 2, 3, 4), 200, np.uint8), is_mask=False).max() == 200
    nibabel.save(nibabel.Nifti1Image(np.full((2, 3, 4), -900, np.int16), np.diag([1, 2, 3, 1])), tmp_path / "a.nii.gz")
    found = _read_volume(tmp_path / "a.nii.gz", is_mask=False)
    assert found.shape == (1, 2, 3, 4)
    assert found.min() == found.max() == -900
    assert isinstance(found, MetaTensor)
    assert found.affine.diagonal().tolist() == [1, 2, 3, 1]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (np.zeros((4, 5)), r"shape is \(4, 5\)"),
        (np.zeros((1, 2, 3, 4, 5)), "two or three spatial dimensions"),
        (np.zeros((1, 4, 5), np.int64), "2D image of type int64, allowed: uint8, uint16"),
    ],
)
def test_what_cannot_be_read(value: Any, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        _read_volume(value, is_mask=False)


def test_palettes_are_refused(tmp_path: Path) -> None:
    Image.new("P", (4, 4)).save(tmp_path / "a.png")
    with pytest.raises(ValueError, match="palette"):
        _read_volume(tmp_path / "a.png", is_mask=False)


@pytest.mark.parametrize("channels", [1, 3])
def test_8_bit_images_come_back_exactly(tmp_path: Path, channels: int) -> None:
    array = np.random.RandomState(0).randint(0, 256, (channels, 5, 7)).astype(np.uint8)
    path = _write_volume(_read_volume(array, is_mask=False), tmp_path / "a.b", is_mask=False)
    assert path == tmp_path / "a.b.png"
    picture = np.asarray(Image.open(path))
    np.testing.assert_array_equal(picture, array[0] if channels == 1 else array.transpose(1, 2, 0))


def test_rounding_is_to_the_nearest(tmp_path: Path) -> None:
    image = torch.tensor([[[-0.00001, 0.4 / 255, 0.6 / 255, 254.6 / 255, 1.00001]]])
    picture = np.asarray(Image.open(_write_volume(image, tmp_path / "a", is_mask=False)))
    assert picture.tolist() == [[0, 0, 1, 255, 255]]


@pytest.mark.parametrize("shape", [(1, 3, 4, 5), (2, 3, 4, 5)])
def test_volumes(tmp_path: Path, shape: tuple[int, ...]) -> None:
    values = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    affine = torch.tensor([[0.0, 2, 0, 5], [1.5, 0, 0, -3], [0, 0, 1, 7], [0, 0, 0, 1]], dtype=torch.float64)
    path = _write_volume(MetaTensor(values, affine=affine), tmp_path / "a", is_mask=False)
    assert path == tmp_path / "a.nii.gz"
    found = LoadImage(image_only=True, ensure_channel_first=True)(path)
    assert torch.equal(found.as_tensor(), values)
    assert torch.allclose(found.affine, affine)
    written = path.read_bytes()
    assert _write_volume(MetaTensor(values, affine=affine), tmp_path / "a", is_mask=False).read_bytes() == written


@pytest.mark.parametrize(
    ("low", "high", "dtype"), [(0, 255, np.uint8), (-1, 9, np.int16), (0, 256, np.int16), (0, 40000, np.int32)]
)
def test_masks_of_volumes(tmp_path: Path, low: int, high: int, dtype: Any) -> None:
    mask = torch.tensor([low, high] * 4).reshape(1, 2, 2, 2)
    volume = nibabel.load(_write_volume(mask, tmp_path / "a", is_mask=True))
    assert volume.get_data_dtype() == dtype
    np.testing.assert_array_equal(np.asarray(volume.dataobj), mask[0].numpy())


def test_masks_of_pictures(tmp_path: Path) -> None:
    for mask in (torch.tensor([[[0.0, 2.0, 255.0]]]), torch.tensor([[[False, True]]])):
        found = _read_volume(_write_volume(mask, tmp_path / "a", is_mask=True), is_mask=True)
        assert torch.equal(found.float(), mask.float())


@pytest.mark.parametrize(
    ("value", "is_mask", "text"),
    [
        (torch.full((1, 2, 2), -0.5), False, r"spans \[-0\.5, -0\.5\], allowed: \[0, 1\]"),
        (torch.full((1, 2, 2), 2.0), False, "leave normalisation to training"),
        (torch.full((1, 2, 2), float("nan")), False, "NaN"),
        (torch.zeros(4, 2, 2), False, r"shape \(4, 2, 2\), allowed: \(1 or 3, height, width\)"),
        (torch.zeros(2, 2), False, "two or three spatial dimensions"),
        (torch.full((1, 2, 2), 0.5), True, "whole numbers"),
        (torch.full((1, 2, 2, 2), 2**40), True, "whole numbers of 32 bits"),
        (torch.full((1, 2, 2), 256), True, r"\[256, 256\], allowed: .* \[0, 255\]"),
        (torch.zeros(2, 2, 2), True, r"shape \(2, 2, 2\)"),
    ],
)
def test_what_cannot_be_written(tmp_path: Path, value: torch.Tensor, is_mask: bool, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        _write_volume(value, tmp_path / "a", is_mask)
    assert not list(tmp_path.iterdir())
