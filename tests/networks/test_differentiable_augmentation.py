# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from monai_genaug.networks.layers.differentiable_augmentation import DifferentiableAugmentation

OFF: dict[str, Any] = {"flip": False, "translation": 0.0}


def images(*shape: int) -> Tensor:
    return 0.1 + torch.rand(*shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def augmented(x: Tensor, seed: int = 0, **arguments: Any) -> Tensor:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        result: Tensor = DifferentiableAugmentation(**arguments)(x)
    return result


def shifted(x: np.ndarray, shift: tuple[int, ...], padding: str) -> np.ndarray:
    """One image ``(C, *spatial)``, moved."""
    reach = max(map(abs, shift))
    mode: Any = "edge" if padding == "border" else "constant"
    wide = np.pad(x, [(0, 0), *[(reach, reach)] * len(shift)], mode=mode)
    box = tuple(slice(reach - s, reach - s + n) for s, n in zip(shift, x.shape[1:], strict=True))
    return wide[(slice(None), *box)]


def test_turned_off_it_is_the_identity_and_draws_nothing() -> None:
    x, before = images(2, 1, 5, 5), torch.get_rng_state()
    assert torch.equal(DifferentiableAugmentation(**OFF)(x), x)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(("shape", "axis"), [((5, 4), -1), ((5, 4), 0), ((3, 4, 5), 0), ((3, 4, 5), -2)])
def test_half_of_the_samples_are_mirrored(shape: tuple[int, ...], axis: int) -> None:
    x = images(400, 2, *shape)
    y = augmented(x, flip=True, translation=0.0, flip_axis=axis)
    mirrored = x.flip(axis if axis < 0 else axis + 2)
    is_mirrored = (y == mirrored).flatten(1).all(dim=1)
    assert (is_mirrored | (y == x).flatten(1).all(dim=1)).all()
    assert 160 < is_mirrored.sum() < 240  # four standard deviations


@pytest.mark.parametrize("padding", ["border", "zeros"])
@pytest.mark.parametrize("shape", [(8, 12), (8, 5, 6)])
def test_translations_are_whole_shifts_of_each_sample(shape: tuple[int, ...], padding: str) -> None:
    x = images(300, 2, *shape)
    y = augmented(x, flip=False, translation=0.125, padding=padding).numpy()
    reaches = [round(size * 0.125) for size in shape]
    assert set(reaches) == {1, 2} if shape == (8, 12) else {1}
    counts = dict.fromkeys(product(*(range(-reach, reach + 1) for reach in reaches)), 0)
    for before, after in zip(x.numpy(), y, strict=True):
        (found,) = [shift for shift in counts if np.array_equal(shifted(before, shift, padding), after)]
        counts[found] += 1
    assert min(counts.values()) >= 1
    assert max(counts.values()) < 300 / len(counts) + 6 * (300 / len(counts)) ** 0.5


def test_brightness_is_an_offset_per_sample() -> None:
    x = images(200, 3, 4, 4)
    offset = (augmented(x, **OFF, brightness=0.3) - x).flatten(1)
    torch.testing.assert_close(offset, offset[:, :1].expand_as(offset))
    assert -0.3 <= offset.min() < -0.28
    assert 0.28 < offset.max() <= 0.3


def test_contrast_scales_the_distance_from_the_mean() -> None:
    x = images(200, 3, 4, 4)
    y = augmented(x, **OFF, contrast=0.5)
    axes = (1, 2, 3)
    torch.testing.assert_close(y.mean(dim=axes), x.mean(dim=axes))
    factor = (y - x.mean(dim=axes, keepdim=True)) / (x - x.mean(dim=axes, keepdim=True))
    torch.testing.assert_close(factor, factor[:, :1, :1, :1].expand_as(factor))
    assert 0.5 <= factor.min() < 0.53
    assert 1.47 < factor.max() <= 1.5


@pytest.mark.parametrize(("shape", "sides"), [((8, 12), (4, 6)), ((6, 4, 8), (3, 2, 4))])
def test_cutout_is_one_box_of_zeros(shape: tuple[int, ...], sides: tuple[int, ...]) -> None:
    x = images(200, 2, *shape)
    y = augmented(x, **OFF, cutout=0.5).numpy()
    whole = 0
    for before, after in zip(x.numpy(), y, strict=True):
        zeros = np.argwhere(after == 0.0)
        low, high = zeros.min(axis=0), zeros.max(axis=0) + 1
        assert (low[0], high[0]) == (0, 2)  # all channels
        assert all(size <= side for size, side in zip(high[1:] - low[1:], sides, strict=True))
        expected = before.copy()
        expected[tuple(slice(a, b) for a, b in zip(low, high, strict=True))] = 0.0
        np.testing.assert_array_equal(after, expected)
        whole += tuple(high[1:] - low[1:]) == sides
    assert 20 < whole < 200  # the others reach over the border


def test_gradients_reach_the_images() -> None:
    x = images(3, 1, 4, 5).requires_grad_()
    everything = {"translation": 0.3, "brightness": 0.2, "contrast": 0.4, "cutout": 0.3}
    assert torch.autograd.gradcheck(lambda z: augmented(z, 5, **everything), (x,))
    assert torch.autograd.gradcheck(lambda z: augmented(z, 5, **everything), (images(2, 1, 3, 4, 3).requires_grad_(),))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_dtype_shape_and_draws(dtype: torch.dtype) -> None:
    x = images(6, 2, 8, 8).to(dtype)
    arguments = {"translation": 0.2, "brightness": 0.1, "contrast": 0.1, "cutout": 0.2}
    y = augmented(x, 1, **arguments)
    assert y.dtype == dtype
    assert y.shape == x.shape
    assert torch.equal(y, augmented(x, 1, **arguments))
    assert not torch.equal(y, augmented(x, 2, **arguments))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"translation": 1.5}, "translation is 1.5"),
        ({"padding": "wrap"}, "padding is 'wrap', allowed"),
        ({"brightness": -0.1}, "brightness is -0.1"),
        ({"contrast": float("nan")}, "contrast is nan"),
        ({"cutout": -1.0}, "cutout is -1.0"),
    ],
)
def test_bad_arguments(arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        DifferentiableAugmentation(**arguments)


def test_axis_that_the_images_do_not_have() -> None:
    with pytest.raises(ValueError, match="flip_axis is 2, allowed here: -2 to 1"):
        DifferentiableAugmentation(flip_axis=2)(images(1, 1, 4, 4))
