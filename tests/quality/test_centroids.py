# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import torch

from monai_genaug.generators import PerClassGenerator, VAEGenerator
from monai_genaug.networks import PerClassVAE
from monai_genaug.quality.centroids import manifold_centroids, manifold_latent
from tests.quality.test_audit import rhvae_generator
from tests.quality.toy_audits import CLASSES, blobs
from tests.toy import toy_generator, toy_spec


def test_the_centroids_of_each_kind_of_generator_are_found() -> None:
    single = rhvae_generator(blobs(20, 1)[:, :, :8, :8])
    stored = single.network.latent.metric.centroids
    assert manifold_latent(single, None) is single.network.latent
    some = manifold_centroids(single, None, 4)
    assert some.shape == (4, stored.shape[1])
    assert all(bool((stored == one).all(dim=1).any()) for one in some)
    assert torch.equal(some, manifold_centroids(single, None, 4))
    assert not torch.equal(some, manifold_centroids(single, None, 4, seed=1))
    pair = PerClassGenerator({"a": single, "b": rhvae_generator(blobs(20, 2)[:, :, :8, :8])})
    assert manifold_latent(pair, 1) is pair.members["b"].network.latent


def test_the_classes_of_one_network_have_their_own() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        arguments = {"spatial_dims": 2, "spatial_shape": [8, 8], "image_channels": 1, "latent_dim": 2}
        network = PerClassVAE(2, "RHVAE", **arguments, channels=[4, 8]).eval()
        images, classes = blobs(20, 1)[:, :, :8, :8], torch.arange(20) % 2
        x = network.join(images, classes=classes)
        network.fit_generation([x[:14]], [x[14:]])
    generator = VAEGenerator(network, toy_spec((8, 8), mask=False, truncation=False, classes=CLASSES))
    found = [manifold_centroids(generator, number, 100) for number in (0, 1)]
    assert [len(one) for one in found] == [7, 7]
    assert not torch.equal(*found)


def test_other_latent_distributions_have_none() -> None:
    assert manifold_latent(toy_generator((8, 8)), None) is None
    assert manifold_centroids(toy_generator((8, 8), classes=["a", "b"]), 1, 5) is None
