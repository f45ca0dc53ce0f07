# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""What surrounds volumes that are smaller than the generator's."""

from __future__ import annotations

import pytest
import torch

from monai_genaug.generators import GeneratorSpec, preprocessing_for
from tests.toy import toy_spec


@pytest.mark.parametrize("padding", ["constant", "edge"])
def test_padding_of_image_and_mask(padding: str) -> None:
    spec = toy_spec((16, 16), padding=padding, spacing=None)
    image = torch.rand(1, 8, 8, generator=torch.Generator().manual_seed(0)) + 1.0
    made = preprocessing_for(spec, ("image", "mask"), load=False)({"image": image, "mask": torch.ones(1, 8, 8)})
    corner = made["image"][0, :5, :5]
    assert (corner == made["image"][0, 4, 4]).all() if padding == "edge" else bool((corner[:4] == 0).all())
    assert made["mask"].sum() == 64
    assert GeneratorSpec.from_json(spec.to_json()) == spec


def test_unknown_padding_is_named() -> None:
    with pytest.raises(ValueError, match=r"'reflect'.*'edge'"):
        toy_spec(padding="reflect")
