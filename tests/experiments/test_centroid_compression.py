# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import torch

from monai_genaug.experiments.centroid_compression import compressed_generator
from tests.quality.test_audit import rhvae_generator
from tests.quality.toy_audits import blobs


def test_a_compressed_copy_has_fewer_centroids_and_the_original_stays() -> None:
    generator = rhvae_generator(blobs(24, 1)[:, :, :8, :8])
    before = generator.sample(range(4))["image"]
    compressed = compressed_generator(generator, 3)
    assert len(compressed.network.latent.metric.centroids) <= 3 < len(generator.network.latent.metric.centroids)
    assert torch.equal(generator.sample(range(4))["image"], before)
    assert not torch.equal(compressed.sample(range(4))["image"], before)
    assert compressed.spec.sha256 != generator.spec.sha256
    assert compressed_generator(generator, 1) is generator
