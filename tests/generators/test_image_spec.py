# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import pytest

from monai_genaug.generators import GeneratorSpec, OutputSpec, image_spec


def test_images_with_classes_and_masks() -> None:
    short = image_spec("x", [8, 9], 3, ("a", "b"), ("background", "organ"), (-1, 1), truncation=True, modality="CT")
    assert short == GeneratorSpec(
        name="x",
        outputs={
            "image": OutputSpec("image", 3, (-1.0, 1.0), "float32"),
            "mask": OutputSpec("mask", 1, (0, 1), "uint8", ("background", "organ")),
        },
        spatial_shape=(8, 9),
        classes={0: "a", 1: "b"},
        truncation=True,
        modality="CT",
    )
    assert list(short.outputs) == ["image", "mask"]


def test_images_alone() -> None:
    short = image_spec("x", (8, 8, 8))
    assert list(short.outputs) == ["image"]
    assert short.classes is None


@pytest.mark.parametrize("names", ["ab", ("a",), tuple(map(str, range(257)))])
@pytest.mark.parametrize("what", ["classes", "mask_classes"])
def test_names_are_checked(what: str, names: Any) -> None:
    with pytest.raises(ValueError, match=f"{what} is .*, allowed: none, or 2 to 256 names"):
        image_spec("x", (8, 8), **{what: names})
