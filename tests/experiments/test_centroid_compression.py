# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import torch

from monai_genaug.experiments.centroid_compression import compressed_generator, refitted_generator
from monai_genaug.quality.audit_items import AuditItems
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


def test_widths_and_subjects_reach_the_clusters() -> None:
    images = blobs(24, 1)[:, :, :8, :8]
    generator = rhvae_generator(images)
    train = AuditItems({"image": images[:10]}, None, [f"s{i // 2}" for i in range(10)])
    narrow, wide = (compressed_generator(generator, 2, width, train).network.latent.metric for width in (0.5, 1.0))
    assert float(wide.temperature) == 2.0 * float(narrow.temperature) > 0.0
    assert len(wide.centroids) == 2


def test_a_refitted_manifold_has_the_code_of_every_training_item() -> None:
    images = blobs(24, 1)[:, :, :8, :8]
    generator = rhvae_generator(images)
    train, val = (AuditItems({"image": part}) for part in (images[:10], images[10:]))
    few = compressed_generator(generator, 3)
    again = refitted_generator(few, train, val)
    for name, value in generator.network.state_dict().items():
        assert torch.allclose(again.network.state_dict()[name].double(), value.double(), atol=1e-5), name
