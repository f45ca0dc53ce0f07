# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from torch.nn.functional import interpolate

from monai_genaug.transforms.classical.geometry import _RandViewd


class _FixedView(_RandViewd):
    """With given numbers in place of draws."""

    numbers: tuple[float, float, tuple[float, float]]

    def randomize(self, data: Any = None) -> None:
        self._do_transform = True
        self._angle, self._share, self._moves = self.numbers


def view(
    image: torch.Tensor, angle: float = 0.0, share: float = 1.0, moves: tuple[float, float] = (0.0, 0.0)
) -> torch.Tensor:
    transform = _FixedView(("image",), (), 1.0)
    transform.numbers = (angle, share, moves)
    result: torch.Tensor = transform({"image": image})["image"]
    return result


@pytest.fixture
def image() -> torch.Tensor:
    return torch.from_numpy(np.random.RandomState(0).uniform(size=(3, 12, 12)).astype(np.float32))


def test_quarter_turns(image: torch.Tensor) -> None:
    for turns in (1, 2, 3):
        expected = {torch.rot90(image, k, (1, 2)) for k in (turns, -turns)}
        found = view(image, angle=turns * math.pi / 2)
        assert min(float((found - one).abs().max()) for one in expected) < 1e-4


def test_nothing_changes_nothing(image: torch.Tensor) -> None:
    assert (view(image) - image).abs().max() < 1e-5


@pytest.mark.parametrize("moves", [(-2, 2), (0, 1), (2, -1)])
def test_a_part_is_a_crop_resized_back(image: torch.Tensor, moves: tuple[int, int]) -> None:
    found = view(image, share=8 / 12, moves=(moves[0] / 12, moves[1] / 12))
    top, left = 2 + moves[0], 2 + moves[1]
    expected = interpolate(image[None, :, top : top + 8, left : left + 8], (12, 12), mode="bilinear")[0]
    inner = slice(1, -1)  # at the rim the crop repeats its pixels, the view has their neighbours
    assert (found - expected)[:, inner, inner].abs().max() < 1e-4


def test_views_stay_inside_where_they_should() -> None:
    ramp = torch.linspace(0, 1, 30).expand(1, 20, 30).contiguous()
    transform = _RandViewd(("image",), (), 1.0, shift=1 / 6, field=(2 / 3, 2 / 3))
    transform.set_random_state(0)
    starts = []
    for _ in range(60):
        row = transform({"image": ramp})["image"][0, 10]
        assert (row[2:-2].diff() - 2 / 3 / 29).abs().max() < 1e-4  # a ramp still: nothing was mirrored or padded
        starts.append(float(row[1]))
    assert min(starts) < 0.07
    assert max(starts) > 0.29


def test_draws_fill_their_ranges() -> None:
    transform = _RandViewd(("image",), (), 0.5, rotate=1.0, shift=0.1, field=(0.9, 1.1))
    transform.set_random_state(0)
    drawn = []
    for _ in range(500):
        transform.randomize()
        drawn.append((transform._do_transform, transform._angle, transform._share, *transform._moves))
    numbers = np.array(drawn, dtype=float)
    assert 0.4 < numbers[:, 0].mean() < 0.6
    for column, (low, high) in enumerate([(-1.0, 1.0), (0.9, 1.1), (-0.1, 0.1), (-0.1, 0.1)], start=1):
        slack = 0.02 * (high - low)
        assert low <= numbers[:, column].min() < low + slack
        assert high - slack < numbers[:, column].max() <= high
    assert abs(np.corrcoef(numbers[:, 3], numbers[:, 4])[0, 1]) < 0.2


@pytest.mark.parametrize(("padding_mode", "corner"), [("zeros", 0.0), ("reflection", 1.0)])
def test_what_surrounds_the_image(padding_mode: str, corner: float) -> None:
    transform = _RandViewd(("image",), ("mask",), 1.0, field=(2.0, 2.0), padding_mode=padding_mode)
    made = transform({"image": torch.ones(1, 8, 8), "mask": torch.full((1, 8, 8), 3)})
    assert made["image"][0, 0, 0] == corner
    assert made["mask"][0, 0, 0] == 3 * corner


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int64, torch.float32, torch.bool])
def test_masks_go_along_and_keep_values_and_type(dtype: torch.dtype) -> None:
    mask = torch.zeros(1, 40, 30, dtype=dtype)
    mask[:, 8:22, 5:20] = 1
    transform = _RandViewd(("image",), ("mask",), 1.0, rotate=math.pi, shift=0.1, field=(0.8, 1.2))
    for seed in range(5):
        transform.set_random_state(seed)
        made = transform({"image": mask.float(), "mask": MetaTensor(mask)})
        assert made["mask"].dtype == dtype
        assert set(made["mask"].unique().tolist()) <= {0, 1}
        assert ((made["image"] > 0.5) != made["mask"]).float().mean() < 0.01
        assert made["mask"].shape == mask.shape
