# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from monai_genaug.generators import plain_label, resolve_class_labels
from tests.toy import toy_spec

SPEC = toy_spec(classes={0: "benign", 3: "malignant"})


@pytest.mark.parametrize(
    "value",
    [
        3,
        np.int64(3),
        np.uint8(3),
        3.0,
        np.float32(3),
        torch.tensor(3),
        torch.tensor([3.0]),
        np.array([[3]]),
        np.array(3),
    ],
)
def test_whole_numbers_of_any_kind(value: Any) -> None:
    assert plain_label(value) == 3
    assert type(plain_label(value)) is int
    assert resolve_class_labels(value, 1, SPEC) == [3]


def test_names() -> None:
    assert plain_label("malignant") == "malignant"
    assert plain_label(np.str_("malignant")) == "malignant"
    assert plain_label(np.array(["malignant"])) == "malignant"
    assert plain_label(True) == 1


@pytest.mark.parametrize("value", [1.5, torch.tensor([1, 2]), np.array([]), None, [1], float("nan")])
def test_other_values_are_refused(value: Any) -> None:
    with pytest.raises(ValueError, match="a class label must"):
        plain_label(value)


@pytest.mark.parametrize(
    "labels", [["malignant", 0], (3, "benign"), np.array([3, 0]), torch.tensor([3, 0]), [np.int8(3), torch.tensor([0])]]
)
def test_one_label_per_sample(labels: Any) -> None:
    assert resolve_class_labels(labels, 2, SPEC) == [3, 0]


def test_one_label_for_all() -> None:
    assert resolve_class_labels("malignant", 3, SPEC) == [3, 3, 3]


@pytest.mark.parametrize("label", [1, "Malignant", -1, "3"])
def test_unknown_class_lists_the_known_ones(label: Any) -> None:
    with pytest.raises(ValueError, match=r"unknown to generator 'toy', allowed: 0 \('benign'\), 3 \('malignant'\)"):
        resolve_class_labels(label, 1, SPEC)


def test_missing_unwanted_and_too_many() -> None:
    with pytest.raises(ValueError, match=r"needs class_label, one of 0 \('benign'\)"):
        resolve_class_labels(None, 1, SPEC)
    with pytest.raises(ValueError, match="3 class labels for 2 samples"):
        resolve_class_labels([0, 0, 0], 2, SPEC)
    with pytest.raises(ValueError, match="has no classes"):
        resolve_class_labels(0, 1, toy_spec())
    assert resolve_class_labels(None, 1, toy_spec()) is None
