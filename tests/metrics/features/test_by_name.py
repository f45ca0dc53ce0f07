# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
import torch

from monai_genaug.metrics import MedicalFeatures, RandomFeatures, feature_extractor


def test_names_and_objects() -> None:
    assert isinstance(feature_extractor("medical"), MedicalFeatures)
    assert feature_extractor("random", spatial_dims=3).spatial_dims == 3
    extract = RandomFeatures(seed=3)
    assert feature_extractor(extract) is extract


@pytest.mark.parametrize(
    ("extractor", "axes", "text"),
    [
        ("vgg", 2, "'vgg', allowed: 'medical', 'random', 'inception' and objects"),
        (torch.nn.Identity(), 2, r"Identity\(\), allowed"),
        ("inception", 3, "is for 2D images, spatial_dims is 3"),
        (RandomFeatures(3), 2, "'random' is for 3D images, spatial_dims is 2"),
    ],
)
def test_others_are_refused(extractor: object, axes: int, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        feature_extractor(extractor, axes)  # type: ignore[arg-type]
