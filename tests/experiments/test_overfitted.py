# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import torch

from monai_genaug.experiments.overfitted import overfitted_generator
from tests.quality.toy_audits import blobs

IMAGES = blobs(6, 0)[:, :, :8, :8]


def test_longer_training_brings_samples_nearer_to_the_images() -> None:
    torch.manual_seed(3)
    state = torch.get_rng_state()
    short, long = (overfitted_generator(IMAGES, steps) for steps in (2, 150))
    assert torch.equal(torch.get_rng_state(), state)
    distances = [
        torch.cdist(generator.sample(range(20))["image"].flatten(1), IMAGES.flatten(1)).amin(dim=1).mean()
        for generator in (short, long)
    ]
    assert distances[1] < 0.7 * distances[0]
    assert overfitted_generator(IMAGES, 2).spec.sha256 == short.spec.sha256
