# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import torch
from PIL import Image

from monai_genaug.data.class_folders import class_folder_items
from monai_genaug.data.decathlon import decathlon_items
from monai_genaug.data.image_checks import check_images

PIXELS = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)


def write(path: Path, mode: str = "L", **arguments: Any) -> dict[str, str]:
    Image.fromarray(PIXELS).convert(mode).save(path, **arguments)
    return {"image": str(path)}


def write_nifti(path: Path, shape: tuple[int, ...] = (4, 5, 6)) -> dict[str, str]:
    nibabel.save(nibabel.Nifti1Image(np.zeros(shape, np.int16), np.eye(4)), path)
    return {"image": str(path)}


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".bmp"])
@pytest.mark.parametrize(("mode", "channels"), [("L", 1), ("RGB", 3)])
def test_good_pictures_pass(tmp_path: Path, suffix: str, mode: str, channels: int) -> None:
    items = [write(tmp_path / f"{number}{suffix}", mode) for number in range(2)]
    check_images(items)
    check_images(items, channels)
    with pytest.raises(ValueError, match=rf"2 of 2 images .*0{suffix} \({channels} channels, not 4\)"):
        check_images(items, 4)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".bmp"])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_unreadable_pictures_are_named(tmp_path: Path, suffix: str, mode: str) -> None:
    items = [write(tmp_path / f"{number}{suffix}", mode) for number in range(4)]
    content = (tmp_path / f"1{suffix}").read_bytes()
    (tmp_path / f"1{suffix}").write_bytes(content[: len(content) * 3 // 4])
    (tmp_path / f"2{suffix}").write_bytes(b"")
    (tmp_path / f"3{suffix}").unlink()
    with pytest.raises(ValueError, match=rf"3 of 4 images .*/1{suffix} \(.*/2{suffix} \(.*/3{suffix} \(") as error:
        check_images(items)
    assert f"0{suffix}" not in str(error.value)


def test_a_flipped_bit_of_a_png_is_found(tmp_path: Path) -> None:
    item = write(tmp_path / "a.png")
    content = bytearray((tmp_path / "a.png").read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.png \("):
        check_images([item])


def test_other_channels_than_most_are_named(tmp_path: Path) -> None:
    items = [write(tmp_path / f"{n}.png", "RGB" if n == 1 else "L") for n in range(4)]
    with pytest.raises(ValueError, match=r"1 of 4 images cannot be used: .*1\.png \(3 channels, not 1\)"):
        check_images(items)
    with pytest.raises(ValueError, match=r"3 of 4 images .*0\.png \(1 channels, not 3\)"):
        check_images(items, 3)


def test_palettes_and_pages_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="palette image, convert it"):
        check_images([write(tmp_path / "a.png", "P")])
    pages = [Image.fromarray(PIXELS + number) for number in range(1, 3)]
    with pytest.raises(ValueError, match="3 pages, one is needed"):
        check_images([write(tmp_path / "a.tif", "RGB", save_all=True, append_images=pages)])


def test_the_first_five_problems_are_listed(tmp_path: Path) -> None:
    items = [{"image": str(tmp_path / f"{number}.png")} for number in range(7)]
    with pytest.raises(ValueError, match=r"7 of 7 images") as error:
        check_images(items)
    assert [f"{number}.png (FileNotFoundError" in str(error.value) for number in range(7)] == [True] * 5 + [False] * 2
    assert str(error.value).endswith(", ...")


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_volumes(tmp_path: Path, suffix: str) -> None:
    items = [write_nifti(tmp_path / f"{number}{suffix}") for number in range(2)]
    check_images(items, 1)
    check_images([write_nifti(tmp_path / f"two{suffix}", (4, 5, 6, 2))], 2)
    (tmp_path / f"0{suffix}").write_bytes((tmp_path / f"0{suffix}").read_bytes()[:60])
    with pytest.raises(ValueError, match=rf"1 of 2 images .*0{suffix}"):
        check_images(items)


def test_a_volume_that_is_too_short_is_named(tmp_path: Path) -> None:
    item = write_nifti(tmp_path / "a.nii")
    (tmp_path / "a.nii").write_bytes((tmp_path / "a.nii").read_bytes()[:-1])
    with pytest.raises(ValueError, match="shorter than 592 bytes"):  # header 352, 4 * 5 * 6 voxels of 2 bytes
        check_images([item])


def test_volumes_among_pictures_are_named(tmp_path: Path) -> None:
    items = [write(tmp_path / "a.png"), write(tmp_path / "b.png"), write_nifti(tmp_path / "c.nii")]
    with pytest.raises(ValueError, match=r"1 of 3 images .*c\.nii \(3 spatial dimensions, not 2\)"):
        check_images(items)


def test_arrays_and_tensors(tmp_path: Path) -> None:
    items: list[dict[str, Any]] = [{"image": np.zeros((1, 8, 8))}, {"image": torch.zeros(1, 8, 8)}]
    check_images(items, 1)
    check_images([*items, write(tmp_path / "a.png")])
    with pytest.raises(ValueError, match=r"1 of 3 images cannot be used: item 2 \(2 channels, not 1\)"):
        check_images([*items, {"image": np.zeros((2, 8, 8))}])


def test_items_without_images_are_named() -> None:
    with pytest.raises(ValueError, match="no items"):
        check_images([])
    with pytest.raises(ValueError, match=r"item 0 \(KeyError: 'image'\), item 1 \(AttributeError"):
        check_images([{"picture": "a.png"}, {"image": 5}])


def test_dicom_files_need_pydicom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pydicom", None)
    with pytest.raises(ImportError, match="pip install pydicom"):
        check_images([{"image": str(tmp_path / "a.dcm")}])


def test_real_dicom_files(tmp_path: Path) -> None:
    data = pytest.importorskip("pydicom.data", reason="the package pydicom is not installed")
    paths = [data.get_testdata_file(name, download=False) for name in ("CT_small.dcm", "MR_small.dcm")]
    check_images([{"image": path} for path in paths], 1)
    (tmp_path / "a.dcm").write_bytes(Path(paths[0]).read_bytes()[:200])
    (tmp_path / "b.dcm").write_bytes(b"text")
    with pytest.raises(ValueError, match=r"2 of 4 images .*a\.dcm \(.*b\.dcm \("):
        check_images([{"image": path} for path in (*paths, tmp_path / "a.dcm", tmp_path / "b.dcm")])


def test_jpeg_files_are_not_decoded_at_full_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (4000, 3000)).save(buffer, "JPEG")
    (tmp_path / "a.jpg").write_bytes(buffer.getvalue())
    sizes = []
    load = Image.Image.load
    monkeypatch.setattr(Image.Image, "load", lambda image: (sizes.append(image.size), load(image))[1])
    check_images([{"image": str(tmp_path / "a.jpg")}], 3)
    assert set(sizes) == {(500, 375)}


def test_real_data(genaug_data: Path, hippocampus_dir: Path) -> None:
    check_images(decathlon_items(hippocampus_dir)[:20], 1)
    if (genaug_data / "busi_128").is_dir():
        check_images(class_folder_items(genaug_data / "busi_128"), 1)
