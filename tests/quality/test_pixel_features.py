# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import torch

from monai_genaug.quality.pixel_features import PixelThumbnails
from tests.quality.toy_audits import blobs


def test_distances_are_correlations_and_brightness_changes_nothing() -> None:
    images = blobs(4, 0)
    features = PixelThumbnails()(images)
    assert torch.allclose(PixelThumbnails()(0.5 * images + 0.2), features, atol=1e-5)
    squared = float((features[0] - features[1]).square().sum())
    correlation = float(features[0] @ features[1])
    assert abs(squared - (2 - 2 * correlation)) < 1e-5
    assert PixelThumbnails().identity == PixelThumbnails().identity


def test_volumes_have_features_too() -> None:
    features = PixelThumbnails()(torch.rand(2, 1, 20, 24, 18))
    assert features.shape == (2, 8**3)
    assert features.dtype == torch.float32
