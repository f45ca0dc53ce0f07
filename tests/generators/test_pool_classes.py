# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from monai_genaug.generators.pool_classes import PlannedClasses

PLANS = st.lists(st.tuples(st.integers(0, 9), st.integers(1, 5)), max_size=4)
BOUNDS = st.none() | st.integers(-25, 25)


@given(PLANS, BOUNDS, BOUNDS, st.none() | st.sampled_from([-3, -1, 1, 2]))
def test_is_the_list_that_it_stands_for(
    plan: list[tuple[int, int]], start: int | None, stop: int | None, step: int | None
) -> None:
    expected = [number for number, count in plan for _ in range(count)]
    classes = PlannedClasses(plan)
    assert list(classes) == expected
    assert len(classes) == len(expected)
    assert [classes[i] for i in range(-len(expected), len(expected))] == expected * 2
    assert classes[start:stop:step] == expected[start:stop:step]
    assert classes == expected
    assert expected == classes
    assert classes == PlannedClasses([(number, 1) for number in expected])
    assert classes != [*expected, 0]
    with pytest.raises(IndexError):
        classes[len(expected)]


def test_differs_from_other_classes_and_other_things() -> None:
    classes = PlannedClasses([(1, 2), (0, 1)])
    assert classes != [0, 1, 1]
    assert classes != "110"
    assert classes != 3
    assert repr(classes) == "PlannedClasses(((1, 2), (0, 1)))"


def test_is_taken_as_a_sequence() -> None:
    classes = PlannedClasses([(1, 2), (0, 1)])
    assert np.asarray(classes).tolist() == [1, 1, 0]
    assert torch.tensor(classes).tolist() == [1, 1, 0]
    assert classes.count(1) == 2
    assert pickle.loads(pickle.dumps(classes)) == copy.deepcopy(classes) == classes


def test_is_small_whatever_the_number_of_items() -> None:
    classes = PlannedClasses([(0, 10**12), (1, 1)])
    assert classes[10**12 - 1] == 0
    assert classes[-1] == 1
    assert len(pickle.dumps(classes)) < 200
