# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import torch

from monai_genaug.experiments.replaying import DISGUISES, PlayingGenerator
from monai_genaug.quality.audit import audit_seeds

IMAGES = {0: torch.rand(4, 1, 8, 8, generator=torch.Generator().manual_seed(0)), 1: torch.zeros(3, 1, 8, 8)}


def test_an_audit_sees_each_image_once() -> None:
    generator = PlayingGenerator(IMAGES, "played", seed=5)
    assert torch.equal(generator.sample(audit_seeds(5, 0, 4), 0)["image"], IMAGES[0])
    assert generator.sample([1, 2, 3], "class 1")["image"].shape == (3, 1, 8, 8)
    other = PlayingGenerator({0: IMAGES[0].flip(0), 1: IMAGES[1]}, "played")
    assert other.spec.sha256 != generator.spec.sha256


def test_disguises_keep_shape_and_range_and_change_what_they_say() -> None:
    for images in (IMAGES[0], torch.rand(2, 1, 6, 6, 6, generator=torch.Generator().manual_seed(1))):
        for name, disguise in DISGUISES.items():
            changed = disguise(images)
            assert changed.shape == images.shape
            assert 0 <= float(changed.min()) <= float(changed.max()) <= 1
            assert torch.equal(changed, images) == (name == "exact")
            assert torch.equal(changed, disguise(images))
