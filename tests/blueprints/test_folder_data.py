# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pytest
from PIL import Image

from monai_genaug.blueprints.folder_data import name_unusable, read_folder
from monai_genaug.blueprints.models import MODELS
from monai_genaug.generators.preprocessing import preprocessing_for
from monai_genaug.generators.spec import GeneratorSpec, OutputSpec
from tests.class_pictures import write_class_pictures, write_pictures

CONDITIONAL, PLAIN = MODELS["conditional_vae"], MODELS["vae"]


def volume(path: Path, shape: tuple[int, ...], affine: np.ndarray, value: float = 1.0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    data = np.random.default_rng(0).random(shape).astype(np.float32) * value
    nibabel.save(nibabel.Nifti1Image(data, affine), path)


def test_classes_and_split(tmp_path: Path) -> None:
    data = read_folder(write_class_pictures(tmp_path / "data", 10, channels=3), None, CONDITIONAL, 0)
    assert (data.classes, data.channels, data.spatial_dims) == (("benign", "malignant"), 3, 2)
    assert [sum(item["label"] == label for item in data.train) for label in (0, 1)] == [8, 8]
    assert len(data.held_out) == 4
    assert not {item["image"] for item in data.train} & {item["image"] for item in data.held_out}


def test_a_subject_is_in_one_part(tmp_path: Path) -> None:
    data = read_folder(write_class_pictures(tmp_path / "data", 10), r"patient_(\d)", CONDITIONAL, 0)
    train, held_out = ({item["subject"] for item in part} for part in (data.train, data.held_out))
    assert train | held_out == set("0123456789")
    assert not train & held_out


def test_deep_grey_is_scaled_by_the_brightest_value_of_all(tmp_path: Path) -> None:
    for number, brightest in enumerate((900, 4000, 1800, 2000)):
        picture = np.linspace(0, brightest, 64).astype(np.uint16).reshape(8, 8)
        Image.fromarray(picture).save(tmp_path / f"{number}.png")
    space = read_folder(tmp_path, None, PLAIN, 0).space((8, 8))
    assert space["intensity_range"] == (0.0, 4000.0)
    spec = GeneratorSpec("toy", {"image": OutputSpec("image", 1, (0.0, 1.0), "float32")}, (8, 8), **space)
    image = preprocessing_for(spec, ["image"])({"image": str(tmp_path / "3.png")})["image"]
    assert float(image.max()) == pytest.approx(0.5)


def test_volumes_of_any_orientation_fit(tmp_path: Path) -> None:
    turned = np.array([[0, 0, -2, 0], [1, 0, 0, 0], [0, 3, 0, 0], [0, 0, 0, 1.0]])  # axes A, S, L
    for number in range(4):
        volume(tmp_path / f"{number}.nii.gz", (10, 20, 6), turned)  # 10 mm to A, 60 mm to S, 12 mm to L
    data = read_folder(tmp_path, None, PLAIN, 0)
    space = data.space((8, 8, 16))
    assert space == {"spacing": (3.75,) * 3, "orientation": "RAS"}


def empty(root: Path) -> None:
    (root / "normal").mkdir()


def lonely(root: Path) -> None:
    write_pictures(root / "normal", 1)


def pair(root: Path) -> None:
    write_pictures(root / "normal", 2)


def cut(root: Path) -> None:
    path = root / "benign" / "patient_0.png"
    path.write_bytes(path.read_bytes()[:80])


def coloured(root: Path) -> None:
    write_pictures(root / "benign" / "more", 1, channels=3)


def transparent(root: Path) -> None:
    Image.new("LA", (8, 8)).save(root / "benign" / "a.png")
    for path in root.rglob("*.png"):
        Image.open(path).convert("LA").save(path)


def deep(root: Path) -> None:
    Image.fromarray(np.full((8, 8), 900, np.uint16)).save(root / "benign" / "deep.png")


def flat_nifti(root: Path) -> None:
    volume(root / "benign" / "slice.nii", (8, 8), np.eye(4))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (empty, r"normal has 0 images"),
        (lonely, r"normal has 1 images"),
        (pair, r"normal has 1 images in the training part, at least 2"),
        (cut, r"1 of 14 images cannot be used: \S+/benign/patient_0.png"),
        (coloured, r"1 of 15 images cannot be used: \S+/more/patient_0.png \(3 channels, not 1\)"),
        (transparent, r"15 of 15 images cannot be used: \S+ \(a picture of mode 'LA', allowed: .*'RGB'"),
        (deep, r"1 of 15 images cannot be used: \S+/deep.png \(another depth of grey than most\)"),
        (flat_nifti, r"1 of 15 images cannot be used: \S+/slice.nii \(allowed in 2D: PNG, JPEG, TIFF, BMP\)"),
    ],
)
def test_unusable_images_are_named(spoil: Callable[[Path], None], message: str, tmp_path: Path) -> None:
    spoil(write_class_pictures(tmp_path / "data"))
    with pytest.raises(ValueError, match=message):
        read_folder(tmp_path / "data", None, CONDITIONAL, 0)


def test_one_subject_is_too_few(tmp_path: Path) -> None:
    write_class_pictures(tmp_path / "data")
    with pytest.raises(ValueError, match=r"benign has 1 subjects, at least 2"):
        read_folder(tmp_path / "data", r"(patient)_", CONDITIONAL, 0)


def test_classes_that_are_missing_or_not_wanted(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"VAE has no classes, \S+ has \['benign', 'malignant'\]: train on one"):
        read_folder(write_class_pictures(tmp_path / "classes"), None, PLAIN, 0)
    with pytest.raises(ValueError, match=r"ConditionalVAE needs a sub-folder per class, \S+ has \[\]"):
        read_folder(write_pictures(tmp_path / "flat"), None, CONDITIONAL, 0)


def test_what_only_reading_finds_is_named(tmp_path: Path) -> None:
    for number in range(4):
        volume(tmp_path / f"{number}.nii.gz", (8, 8, 8), np.eye(4), np.nan if number == 2 else 1.0)
    data = read_folder(tmp_path, None, PLAIN, 0)
    outputs = {"image": OutputSpec("image", 1, (0.0, 1.0), "float32")}
    spec = GeneratorSpec("toy", outputs, (8, 8, 8), **data.space((8, 8, 8)))
    items = [*data.train, *data.held_out]
    with pytest.raises(ValueError, match=r"1 of 4 images cannot be used: \S+/2.nii.gz \(the volume .* NaN"):
        name_unusable(items, spec)
    name_unusable([item for item in items if "2.nii" not in item["image"]], spec)
