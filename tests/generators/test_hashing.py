# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from monai.data import MetaTensor

from monai_genaug.generators import content_hash, subject_hash

VOLUME = np.linspace(0, 1, 60, dtype=np.float32).reshape(1, 3, 4, 5)


@given(arrays(np.uint8, array_shapes(min_dims=2, max_dims=4)))
def test_equal_for_every_container_dtype_and_layout(levels: np.ndarray) -> None:
    volume = levels.astype(np.float32) / 255
    copies: list[Any] = [
        volume.astype(np.float64),
        np.asfortranarray(volume),
        torch.from_numpy(volume),
        MetaTensor(torch.from_numpy(volume), meta={"filename": "elsewhere"}),
        volume + np.float32(1e-4),
    ]
    assert {content_hash(copy) for copy in copies} == {content_hash(volume)}
    assert content_hash(volume * 2 - 1, (-1, 1)) == content_hash(volume)


@given(st.integers(0, 59), st.integers(2, 255))
def test_different_when_one_voxel_differs(voxel: int, steps: int) -> None:
    changed = VOLUME.copy()
    changed.flat[voxel] = (changed.flat[voxel] + steps / 256) % 1.0
    assert content_hash(changed) != content_hash(VOLUME)


def test_shape_is_part_of_the_hash() -> None:
    assert content_hash(VOLUME) != content_hash(VOLUME.reshape(1, 4, 3, 5))


def test_masks_hash_by_label_whatever_the_integer_type() -> None:
    mask = np.arange(8).reshape(1, 2, 2, 2) % 3
    assert content_hash(mask.astype(np.uint8)) == content_hash(mask) == content_hash(torch.from_numpy(mask).int())
    assert content_hash(mask) != content_hash(np.minimum(mask, 1))
    assert content_hash(mask) != content_hash(mask.astype(np.float32))


def test_golden_value() -> None:
    # (printf 'u(1, 3, 4, 5)'; the 60 levels round(255 i / 59) as bytes) | b2sum -l 128
    assert content_hash(VOLUME) == "a3b1734b3ce9b1f1e41731b70cea3af5"


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_not_finite_are_refused(value: float) -> None:
    with pytest.raises(ValueError, match="not finite"):
        content_hash(np.full((1, 2, 2), value))


def test_empty_range_is_refused() -> None:
    with pytest.raises(ValueError, match=r"value_range is \(1.0, 1.0\)"):
        content_hash(VOLUME, (1.0, 1.0))


def test_subject_hash_depends_on_subject_and_salt() -> None:
    hashes = {subject_hash(subject, salt) for subject in ("s1", "s2") for salt in ("", "pepper", "x" * 200)}
    assert len(hashes) == 6
    assert all(re.fullmatch("[0-9a-f]{32}", value) for value in hashes)
    assert subject_hash("s1", "pepper") == subject_hash("s1", "pepper")
