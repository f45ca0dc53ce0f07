# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Against formulas that share no code with torchvision, which does the work."""

from __future__ import annotations

import colorsys
import pickle
from typing import Any

import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from scipy.ndimage import convolve

from monai_genaug.transforms.classical.intensity import (
    _RandColourJitterd,
    _RandGreyscaled,
    _RandIntensityd,
    _RandInvertd,
    _RandSharpnessd,
)

LUMINANCE = np.array([0.2989, 0.587, 0.114])[:, None, None]


@pytest.fixture
def image() -> np.ndarray:
    return np.random.RandomState(0).uniform(size=(3, 6, 7)).astype(np.float32)


def run(transform: _RandIntensityd, image: np.ndarray) -> np.ndarray:
    result: np.ndarray = transform({"image": torch.from_numpy(image)})["image"].numpy()
    return result


def grey(image: np.ndarray) -> np.ndarray:
    total: np.ndarray = (LUMINANCE * image).sum(axis=0, keepdims=True)
    return total


def test_invert(image: np.ndarray) -> None:
    np.testing.assert_allclose(run(_RandInvertd(["image"], 1.0), image), 1 - image, atol=1e-6)


def test_greyscale(image: np.ndarray) -> None:
    found = run(_RandGreyscaled(["image"], 1.0), image)
    np.testing.assert_allclose(found, np.repeat(grey(image), 3, axis=0), atol=1e-5)
    np.testing.assert_array_equal(run(_RandGreyscaled(["image"], 1.0), image[:1]), image[:1])


def test_greyscale_channels_are_independent_memory(image: np.ndarray) -> None:
    made = _RandGreyscaled(["image"], 1.0)({"image": torch.from_numpy(image)})["image"]
    made[0] += 1.0
    assert made[1].max() <= 1.0


@pytest.mark.parametrize("channels", [1, 3])
def test_sharpness(image: np.ndarray, channels: int) -> None:
    image = image[:channels]
    kernel = np.array([[1, 1, 1], [1, 5, 1], [1, 1, 1]]) / 13
    smooth = image.copy()
    for channel, values in zip(smooth, image, strict=True):
        channel[1:-1, 1:-1] = convolve(values, kernel)[1:-1, 1:-1]
    expected = np.clip(2 * image - smooth, 0, 1)
    np.testing.assert_allclose(run(_RandSharpnessd(["image"], 1.0, 2.0), image), expected, atol=1e-5)


def with_hue_turned(image: np.ndarray, turn: float) -> np.ndarray:
    flat = [colorsys.rgb_to_hsv(*pixel) for pixel in image.reshape(3, -1).T.astype(float)]
    turned = [colorsys.hsv_to_rgb((hue + turn) % 1.0, saturation, value) for hue, saturation, value in flat]
    return np.array(turned).T.reshape(image.shape)


EXPECTED = {
    "brightness": lambda x, v: np.clip((1 + v) * x, 0, 1),
    "contrast": lambda x, v: np.clip((1 + v) * x - v * grey(x).mean(), 0, 1),
    "saturation": lambda x, v: np.clip((1 + v) * x - v * grey(x), 0, 1),
    "hue": with_hue_turned,
}


@pytest.mark.parametrize("what", EXPECTED)
@pytest.mark.parametrize("seed", range(3))
def test_one_kind_of_jitter(image: np.ndarray, what: str, seed: int) -> None:
    transform = _RandColourJitterd(["image"], 1.0, **{what: 0.4})
    transform.set_random_state(seed)
    found = run(transform, image)
    amount = dict(transform._steps)[what]
    assert 0 < abs(amount) <= 0.4
    np.testing.assert_allclose(found, EXPECTED[what](image, amount), atol=1e-4)


def test_jitter_goes_in_the_order_drawn(image: np.ndarray) -> None:
    transform = _RandColourJitterd(["image"], 1.0, 0.5, 0.4, 0.3, 0.2)
    orders = set()
    for seed in range(12):
        transform.set_random_state(seed)
        found = run(transform, image)
        expected = image
        for name, amount in transform._steps:
            expected = EXPECTED[name](expected, amount)
        np.testing.assert_allclose(found, expected, atol=1e-4)
        orders.add(tuple(name for name, _ in transform._steps))
    assert len(orders) > 6


def test_amounts_fill_their_range() -> None:
    transform = _RandColourJitterd(["image"], 1.0, brightness=0.5, hue=0.3)
    transform.set_random_state(0)
    drawn: dict[str, list[float]] = {"brightness": [], "hue": []}
    for _ in range(400):
        transform.randomize()
        for name, values in drawn.items():
            values.append(dict(transform._steps)[name])
    for name, limit in (("brightness", 0.5), ("hue", 0.3)):
        assert -limit <= min(drawn[name]) < -0.95 * limit
        assert 0.95 * limit < max(drawn[name]) <= limit


def test_grey_images_have_no_hue(image: np.ndarray) -> None:
    found = run(_RandColourJitterd(["image"], 1.0, saturation=0.5, hue=0.5), image[:1])
    np.testing.assert_array_equal(found, image[:1])


MAKERS: dict[str, Any] = {
    "invert": lambda prob: _RandInvertd(["image", "other"], prob),
    "greyscale": lambda prob: _RandGreyscaled(["image", "other"], prob),
    "sharpness": lambda prob: _RandSharpnessd(["image", "other"], prob, 2.0),
    "jitter": lambda prob: _RandColourJitterd(["image", "other"], prob, brightness=0.5, hue=0.3),
}


@pytest.mark.parametrize("kind", MAKERS)
def test_all_images_of_an_item_change_alike(image: np.ndarray, kind: str) -> None:
    transform = pickle.loads(pickle.dumps(MAKERS[kind](1.0)))
    tensor = torch.from_numpy(image)
    item = {"image": tensor, "other": MetaTensor(tensor.clone(), meta={"name": "x"}), "label": 3}
    made = transform(item)
    assert not torch.equal(made["image"], tensor)
    assert torch.equal(made["image"], made["other"].as_tensor())
    assert made["other"].meta["name"] == "x"
    assert made["label"] == 3
    assert torch.equal(item["image"], torch.from_numpy(image))


@pytest.mark.parametrize("kind", MAKERS)
def test_probability(image: np.ndarray, kind: str) -> None:
    item = {name: torch.from_numpy(image) for name in ("image", "other")}
    assert torch.equal(MAKERS[kind](0.0)(item)["image"], item["image"])
    transform = MAKERS[kind](0.5)
    transform.set_random_state(1)
    changed = sum(not torch.equal(transform(item)["image"], item["image"]) for _ in range(200))
    assert 75 < changed < 125
