# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import pytest
import torch

from monai_genaug.generators import OutputSpec
from monai_genaug.transforms.label_maps import _MaskMap

OUTPUT = OutputSpec("mask", 1, (0, 2), "uint8", ("background", "head", "tail"))
SPREAD = {0: "background", 70_000: "head", 20: "tail", -5: "tail"}
TYPES = (torch.uint8, torch.int16, torch.int64, torch.float16, torch.float32, torch.float64)


@pytest.mark.parametrize(
    ("mask_map", "values", "unknown"),
    [
        (None, [0, 1, 2], []),
        (None, [1], []),
        (None, [0, 3], [3]),
        (None, [0, 1, 2, 3, 200], [3, 200]),
        (None, [-1, 0], [-1]),
        (None, [0.0, 0.5, 1.0], [0.5]),
        (None, [0.0, 1.0, float("nan")], [float("nan")]),
        (None, [0.0, float("inf")], [float("inf")]),
        (None, [0, 10**12], [10**12]),
        (SPREAD, [0, 20], []),
        (SPREAD, [0, 70_000, 20, -5], []),
        (SPREAD, [0, 19, 20, 21], [19, 21]),
        ({0: "background", 2: "head", 4: "tail"}, [0, 1, 2], [1]),
        ({0: "background", 1: "head", 4: "tail"}, [0, 1, 4], []),
    ],
)
def test_checks_every_value_of_masks_of_any_type(mask_map: Any, values: list[float], unknown: list[float]) -> None:
    made = _MaskMap(OUTPUT, mask_map)
    exact = torch.tensor(values, dtype=torch.float64)
    able = [dtype for dtype in TYPES if torch.equal(exact.to(dtype).double().nan_to_num(7), exact.nan_to_num(7))]
    assert able
    for dtype in able:
        mask = exact.to(dtype).repeat(50).view(1, 5, -1)
        if not unknown:
            made.check(mask, "seg")
            continue
        with pytest.raises(ValueError, match=r"mask 'seg' .*allowed: \[.*0 \('background'\)") as error:
            made.check(mask, "seg")
        named = str(error.value).split("[")[1].split("]")[0].split(", ")
        assert {str(float(name)) for name in named} == {str(float(value)) for value in unknown}


def test_generated_masks_get_the_first_value_of_each_class() -> None:
    generated = torch.randint(0, 3, (1, 6, 7), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    made = _MaskMap(OUTPUT, SPREAD)
    assert torch.equal(made.to_item(generated), torch.tensor([0, 70_000, 20])[generated.long()])
    assert made.background == 0
    assert torch.equal(made.to_generator(made.to_item(generated)), generated.long())
    assert torch.equal(_MaskMap(OUTPUT, None).to_item(generated), generated)


def test_labels_need_not_start_at_zero() -> None:
    output = OutputSpec("mask", 1, (1, 2), "uint8", ("left", "right"))
    made = _MaskMap(output, {"9": "left", "8": "right"})
    assert made.to_item(torch.tensor([[1, 2, 1]])).tolist() == [[9, 8, 9]]
    assert made.background == 9
    assert _MaskMap(output, "identity").background == 1
