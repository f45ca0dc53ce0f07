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
from monai.transforms import Randomizable
from PIL import Image

from monai_genaug.generators import GeneratorSpec, OutputSpec, VAEGenerator, preprocessing_for
from tests.toy import toy_generator, toy_spec

SPEC = toy_spec((8, 8, 8))
KEYS = ("t1", "seg")


def volume(shape: tuple[int, ...] = (10, 6, 8), seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(100, 900, shape).astype(np.float32)


def labels(shape: tuple[int, ...] = (10, 6, 8)) -> np.ndarray:
    mask = np.zeros(shape, dtype=np.uint8)
    mask[2:5, 2:5, 2:6], mask[5:8, 2:5, 2:6] = 1, 2
    return mask


def with_affine(array: np.ndarray, affine: np.ndarray) -> MetaTensor:
    return MetaTensor(torch.from_numpy(array.astype(np.float32))[None], affine=torch.from_numpy(affine))


def run(image: Any, mask: Any = None, **changes: Any) -> dict[str, torch.Tensor]:
    spec = SPEC.replace(**changes)
    mask = labels(tuple(image.shape[1:]))[None] if mask is None else mask
    result: dict[str, torch.Tensor] = preprocessing_for(spec, KEYS, load=False)({"t1": image, "seg": mask})
    return result


def test_result_is_in_the_generator_s_space() -> None:
    result = run(volume()[None])
    assert result["t1"].shape == result["seg"].shape == (1, 8, 8, 8)
    assert result["t1"].dtype == torch.float32
    assert result["seg"].dtype == torch.uint8
    assert result["t1"].min() == 0
    assert result["t1"].max() == 1
    assert result["seg"].unique().tolist() == [0, 1, 2]
    generator = toy_generator((8, 8, 8))
    codes = generator.encode({"image": result["t1"][None], "mask": result["seg"][None]})
    assert codes.isfinite().all()


def test_method_of_the_generator_is_the_same_chain() -> None:
    raw = {"t1": volume()[None], "seg": labels()[None]}
    generator = toy_generator((8, 8, 8))
    assert isinstance(generator, VAEGenerator)
    one, other = generator.preprocessing(KEYS, load=False)(raw), preprocessing_for(SPEC, KEYS, load=False)(raw)
    assert all(torch.equal(one[key], other[key]) for key in KEYS)


def test_padding_and_cropping_are_centred_and_pad_with_the_lowest_value() -> None:
    image, mask = volume((10, 6, 8)), labels((10, 6, 8))
    outputs = {**SPEC.outputs, "image": OutputSpec("image", 1, (-1.0, 1.0), "float32")}
    result = run(image[None], mask[None], outputs=outputs, intensity="minmax")
    expected = 2 * (image - image.min()) / (image.max() - image.min()) - 1
    np.testing.assert_allclose(result["t1"][0, :, 1:7], expected[1:9], atol=1e-5)
    assert (result["t1"][0, :, [0, 7]] == -1).all()
    np.testing.assert_array_equal(result["seg"][0, :, 1:7], mask[1:9])
    assert (result["seg"][0, :, [0, 7]] == 0).all()


def test_percentiles_clip() -> None:
    image = volume((8, 8, 8))
    image[0, 0, 0] = 1e6
    low, high = np.percentile(image, (0.5, 99.5))
    expected = ((image - low) / (high - low)).clip(0, 1)
    np.testing.assert_allclose(run(image[None])["t1"][0], expected, atol=1e-4)


@pytest.mark.parametrize("intensity", ["percentiles", "minmax"])
@pytest.mark.parametrize("dtype", ["uint8", "int16", "float64"])
def test_numbers_of_any_type_give_what_their_float32_gives(dtype: str, intensity: Any) -> None:
    image = volume()[None].round() // 4
    expected = run(image, intensity=intensity)["t1"]
    assert torch.equal(run(image.astype(dtype), intensity=intensity)["t1"], expected)
    assert torch.equal(run(torch.from_numpy(image.astype(dtype)), intensity=intensity)["t1"], expected)


def test_fixed_range_maps_and_clips() -> None:
    image = np.full((1, 8, 8, 8), 50.0, dtype=np.float32)
    image[0, 0], image[0, 1] = -2000, 2000
    result = run(image, intensity="range", intensity_range=(-100, 100))["t1"]
    assert torch.equal(result.unique().as_tensor(), torch.tensor([0.0, 0.75, 1.0]))


def test_orientation_comes_from_the_affine() -> None:
    image, mask = volume((8, 8, 8)), labels((8, 8, 8))
    ras = run(with_affine(image, np.eye(4)), with_affine(mask, np.eye(4)))
    lps = np.diag([-1.0, -1.0, 1.0, 1.0])
    flipped = run(with_affine(image[::-1, ::-1].copy(), lps), with_affine(mask[::-1, ::-1].copy(), lps))
    assert all(torch.equal(ras[key].as_tensor(), flipped[key].as_tensor()) for key in KEYS)  # type: ignore[attr-defined]


def test_spacing_interpolates_images_and_keeps_labels() -> None:
    affine = np.diag([2.0, 2.0, 2.0, 1.0])
    mask = np.zeros((4, 4, 4), dtype=np.uint8)
    mask[:, :, 2:] = 2
    result = run(with_affine(volume((4, 4, 4)), affine), with_affine(mask, affine), spatial_shape=(7, 7, 7))
    assert result["seg"].unique().tolist() == [0, 2]
    assert len(result["t1"].unique()) > 64


def test_paths_are_loaded(tmp_path: Path) -> None:
    affine = np.diag([-1.0, 1.0, 1.0, 1.0])
    paths = {}
    for key, array in (("t1", volume()), ("seg", labels())):
        paths[key] = tmp_path / f"{key}.nii.gz"
        nibabel.save(nibabel.Nifti1Image(array, affine), paths[key])
    loaded = preprocessing_for(SPEC, KEYS)({key: str(path) for key, path in paths.items()})
    expected = run(with_affine(volume(), affine), with_affine(labels(), affine))
    assert all(torch.equal(loaded[key].as_tensor(), expected[key].as_tensor()) for key in KEYS)  # type: ignore[attr-defined]


def test_two_dimensions_without_geometry() -> None:
    spec = toy_spec((8, 8), mask=False, spacing=None)
    result = preprocessing_for(spec, "image", load=False)({"image": volume((6, 10))[None]})
    assert result["image"].shape == (1, 8, 8)


def test_chain_is_deterministic_and_flat() -> None:
    steps = preprocessing_for(SPEC, KEYS).transforms
    assert not any(isinstance(step, Randomizable) for step in steps)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("key", KEYS)
def test_volumes_that_are_not_finite_are_named(value: float, key: str) -> None:
    raw = {"t1": volume()[None], "seg": labels().astype(np.float32)[None]}
    raw[key][0, 1, 1, 1] = value
    before = {name: array.copy() for name, array in raw.items()}
    with pytest.raises(RuntimeError) as caught:
        preprocessing_for(SPEC, KEYS, load=False)(raw)
    assert isinstance(caught.value.__cause__, ValueError)
    assert f"{key!r} holds NaN or infinite" in str(caught.value.__cause__)
    assert all(np.array_equal(raw[name], before[name], equal_nan=True) for name in raw)


@pytest.mark.filterwarnings("ignore:Divide by zero")
@pytest.mark.parametrize("intensity", ["percentiles", "minmax"])
def test_volume_without_contrast_is_named(intensity: str) -> None:
    outputs = {"image": OutputSpec("image", 1, (-1.0, 1.0), "float32"), "mask": SPEC.outputs["mask"]}
    image = np.full((1, 8, 8, 8), 7.0, dtype=np.float32)
    if intensity == "percentiles":
        image[0, 0, 0, 0] = 900.0
    with pytest.raises(RuntimeError) as caught:
        run(image, intensity=intensity, outputs=outputs)
    assert "'t1' has no contrast" in str(caught.value.__cause__)


def test_keys_run_parallel_to_outputs() -> None:
    with pytest.raises(ValueError, match=r"\('t1',\) must run parallel to the outputs \('image', 'mask'\)"):
        preprocessing_for(SPEC, ["t1"])


def picture_spec(channels: int, **changes: Any) -> GeneratorSpec:
    outputs = {"image": OutputSpec("image", channels, (0.0, 1.0), "float32")}
    changes = {"intensity": "range", "intensity_range": (0, 255), "fitting": "resize", **changes}
    return toy_spec((12, 20), mask=False, spacing=None, outputs=outputs, **changes)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("ending", ["png", "bmp", "tif", "jpg"])
def test_pictures_are_read_rows_first(tmp_path: Path, channels: int, ending: str) -> None:
    pixels = np.zeros((12, 20, channels), dtype=np.uint8)  # 12 rows of 20 pixels
    pixels[:, :, 0] = 12 * np.arange(20)
    pixels[:, :, -1] += 2 * np.arange(12, dtype=np.uint8)[:, None]
    path = tmp_path / f"picture.{ending}"
    Image.fromarray(pixels[:, :, 0] if channels == 1 else pixels).save(path, quality=100, subsampling=0)
    for value in (path, str(path)):
        made = preprocessing_for(picture_spec(channels), "image")({"image": value})["image"]
        assert made.shape == (channels, 12, 20)
        expected = np.moveaxis(pixels, -1, 0).astype(np.float32) / 255
        np.testing.assert_allclose(made, expected, atol=0.03 if ending == "jpg" else 1e-6)


def test_paths_and_arrays_of_a_picture_give_the_same(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (31, 17), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "picture.png")
    spec = picture_spec(1)
    loaded = preprocessing_for(spec, "image")({"image": tmp_path / "picture.png"})["image"]
    given = preprocessing_for(spec, "image", load=False)({"image": pixels[None]})["image"]
    assert torch.equal(torch.as_tensor(loaded), torch.as_tensor(given))


@pytest.mark.parametrize("shape", [(24, 40), (31, 17), (12, 20), (5, 90)])
def test_resizing_keeps_the_whole_picture(shape: tuple[int, int]) -> None:
    ramp = np.linspace(0, 255, shape[0], dtype=np.float32)[:, None].repeat(shape[1], axis=1)
    made = preprocessing_for(picture_spec(1), "image", load=False)({"image": ramp[None]})["image"]
    assert made.shape == (1, 12, 20)
    assert made.dtype == torch.float32
    assert 0.0 <= made.min() <= made.max() <= 1.0
    rows = made[0].mean(dim=1)
    assert (rows.diff() > 0).all()  # both ends are still there, and nothing is added
    assert rows[0] < 0.15
    assert rows[-1] > 0.85
    assert (made[0] - rows[:, None]).abs().max() < 1e-5
    if shape == (12, 20):
        np.testing.assert_allclose(made[0], ramp / 255, atol=1e-6)


@pytest.mark.parametrize("shape", [(9, 15, 6), (4, 5, 20)])
def test_resizing_volumes_keeps_labels(shape: tuple[int, ...]) -> None:
    mask = np.zeros(shape, dtype=np.uint8)
    mask[shape[0] // 2 :] = 2
    result = run(volume(shape)[None], mask[None], fitting="resize", spacing=None, orientation=None)
    assert result["t1"].shape == result["seg"].shape == (1, 8, 8, 8)
    assert result["seg"].unique().tolist() == [0, 2]
    assert result["seg"].dtype == torch.uint8
    assert result["seg"].float().mean() == pytest.approx(2 * (1 - (shape[0] // 2) / shape[0]), abs=0.3)


@pytest.mark.parametrize("shape", [(24, 40), (31, 17), (90, 9)])
def test_resizing_darkens_no_border(shape: tuple[int, int]) -> None:
    made = preprocessing_for(picture_spec(3), "image", load=False)({"image": np.full((3, *shape), 204.0)})["image"]
    np.testing.assert_allclose(made, 0.8, atol=1e-5)


def test_palettes_are_refused(tmp_path: Path) -> None:
    Image.fromarray(np.arange(100, dtype=np.uint8).reshape(10, 10)).convert("P").save(tmp_path / "picture.png")
    with pytest.raises(RuntimeError) as caught:
        preprocessing_for(picture_spec(1), "image")({"image": tmp_path / "picture.png"})
    assert "palette" in str(caught.value.__cause__)
