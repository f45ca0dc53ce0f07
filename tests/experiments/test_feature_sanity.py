# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
import torch

from monai_genaug.experiments.feature_sanity import changed_set, sanity_distances
from monai_genaug.metrics import RandomFeatures

IMAGES = torch.rand(40, 1, 16, 16, generator=torch.Generator().manual_seed(0))
LABELS = torch.arange(40) % 4


@pytest.mark.parametrize("change", ["noise", "blur", "modes"])
def test_strength_0_changes_nothing_and_others_repeat(change: str) -> None:
    assert torch.equal(changed_set(IMAGES, LABELS, change, 0.0), IMAGES)
    changed = changed_set(IMAGES, LABELS, change, 0.7)
    assert not torch.equal(changed, IMAGES)
    assert torch.equal(changed_set(IMAGES, LABELS, change, 0.7), changed)


def test_dropped_modes_are_replaced_by_the_first_one() -> None:
    first = {tuple(image.flatten().tolist()) for image in IMAGES[LABELS == 0]}

    def of_first(strength: float) -> int:
        changed = changed_set(IMAGES, LABELS, "modes", strength)
        return sum(tuple(image.flatten().tolist()) in first for image in changed)

    assert [of_first(strength) for strength in (0.0, 0.5, 1.0)] == [10, 25, 40]
    with pytest.raises(ValueError, match="change is 'colour', allowed: noise, blur, modes"):
        changed_set(IMAGES, LABELS, "colour", 1.0)


def test_distances_are_to_the_other_half() -> None:
    values = sanity_distances(RandomFeatures(), IMAGES, LABELS, "noise", (0.0, 0.3, 0.9))
    assert 0 < values[0] < values[1] < values[2]
