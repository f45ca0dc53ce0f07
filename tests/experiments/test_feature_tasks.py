# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
import torch

from monai_genaug.experiments import feature_tasks
from monai_genaug.experiments.feature_tasks import changed_images


@pytest.mark.parametrize(("axes", "channels"), [(2, 3), (3, 1)])
def test_what_was_done_is_told_and_repeats(axes: int, channels: int) -> None:
    images = torch.rand(200, 1, *[12] * axes, generator=torch.Generator().manual_seed(0))
    before = torch.get_rng_state()
    changed, again = (changed_images(images, channels, torch.Generator().manual_seed(1)) for _ in range(2))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(changed.images, again.images)
    assert changed.images.shape == (200, channels, *[12] * axes)
    assert changed.appearance.shape == (200, 3 + channels)
    assert float(changed.images.min()) >= 0
    assert float(changed.images.max()) <= 1
    assert changed.orientation.unique().tolist() == list(range(8))
    blur, noise, contrast, *gains = changed.appearance.T
    for values in (blur, noise):
        assert 0.3 < float((values == 0).float().mean()) < 0.7
    assert float(contrast.min()) < -0.8 < 0.8 < float(contrast.max())
    assert 0.3 < float((torch.stack(gains, dim=1) == 1).all(dim=1).float().mean()) < 0.7


@pytest.mark.parametrize("axes", [2, 3])
def test_eight_different_orientations(axes: int) -> None:
    image = torch.rand(1, 1, *[5] * axes)
    turned = feature_tasks._turned(image.expand(8, *image.shape[1:]), torch.arange(8))
    assert torch.equal(turned[0], image[0])
    assert len({tuple(one.flatten().tolist()) for one in turned}) == 8
    assert all(torch.equal(one.sort().values, image.flatten().sort().values) for one in turned.flatten(1))


def test_blur_is_a_gaussian_of_each_images_own_width() -> None:
    point = torch.zeros(3, 1, 31, 31)
    point[:, :, 15, 15] = 1
    blurred = feature_tasks._blurred(point, torch.tensor([0.0, 1.0, 2.0]))[:, 0]
    places = torch.arange(31.0) - 15
    assert torch.equal(blurred[0], point[0, 0])
    assert blurred.sum(dim=(1, 2)).tolist() == pytest.approx([1, 1, 1])
    widths = [float((one.sum(dim=0) * places.square()).sum()) for one in blurred]
    assert widths == pytest.approx([0, 1, 4], rel=0.03)
    flat = torch.full((1, 1, 9, 9, 9), 0.4)
    torch.testing.assert_close(feature_tasks._blurred(flat, torch.tensor([2.0])), flat)
