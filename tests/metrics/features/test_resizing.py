# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
import torch

from monai_genaug.metrics.features.resizing import smoothly_resized


@pytest.mark.parametrize(("before", "after"), [((9, 30), (16, 16)), ((64, 40), (16, 20)), ((6, 20, 9), (8, 8, 8))])
def test_flat_images_stay_flat_up_to_their_borders(before: tuple[int, ...], after: tuple[int, ...]) -> None:
    resized = smoothly_resized(torch.full((2, 3, *before), 0.7), after)
    assert resized.shape == (2, 3, *after)
    torch.testing.assert_close(resized, torch.full_like(resized, 0.7))


@pytest.mark.parametrize("axes", [2, 3])
def test_fine_stripes_become_grey_instead_of_stripes(axes: int) -> None:
    stripes = (torch.arange(64) % 2).float().view(1, 1, 64, *[1] * (axes - 1)).expand(1, 1, *[64] * axes)
    resized = smoothly_resized(stripes, (16,) * axes)
    assert float((resized - 0.5).abs().max()) < 0.1


def test_the_right_size_changes_nothing_and_a_ramp_stays_one() -> None:
    x = torch.rand(1, 1, 5, 6, 7)
    assert smoothly_resized(x, (5, 6, 7)) is x
    ramp = torch.linspace(0, 1, 8).view(1, 1, 8, 1, 1).expand(1, 1, 8, 8, 8)
    steps = smoothly_resized(ramp, (16, 4, 8))[0, 0, :, 0, 0].diff()
    assert bool((steps >= 0).all())
    torch.testing.assert_close(steps[2:-2], torch.full((11,), 1 / 14))
