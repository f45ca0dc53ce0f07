# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import torch

from monai_genaug.generators import PerClassGenerator, VAEGenerator
from monai_genaug.latent import RiemannianLatent
from monai_genaug.networks import RHVAE, PerClassVAE
from monai_genaug.quality.centroids import manifold_centroids, manifold_latent
from tests.quality.toy_audits import CLASSES
from tests.toy import toy_generator, toy_spec

ARGUMENTS: dict[str, Any] = {"spatial_dims": 2, "spatial_shape": [8, 8], "image_channels": 1, "latent_dim": 2}


def codes(count: int, seed: int) -> torch.Tensor:
    return torch.randn(count, 2, generator=torch.Generator().manual_seed(seed))


def with_centroids(latent: Any, points: torch.Tensor) -> None:
    assert isinstance(latent, RiemannianLatent)
    latent.metric.fit(points, torch.eye(2).expand(len(points), -1, -1))


def rhvae(points: torch.Tensor) -> VAEGenerator:
    network = RHVAE(**ARGUMENTS, channels=[4, 8])
    with_centroids(network.latent, points)
    return VAEGenerator(network, toy_spec((8, 8), mask=False, truncation=False))


def test_the_centroids_of_single_generators_and_of_one_per_class_are_found() -> None:
    stored = codes(10, 0)
    single = rhvae(stored)
    assert manifold_latent(single, None) is single.network.latent
    some = manifold_centroids(single, None, 4)
    assert some.shape == (4, 2)
    assert all(bool((stored == one).all(dim=1).any()) for one in some)
    assert torch.equal(some, manifold_centroids(single, None, 4))
    assert not torch.equal(some, manifold_centroids(single, None, 4, seed=1))
    pair = PerClassGenerator({"a": single, "b": rhvae(codes(5, 1))})
    assert len(manifold_centroids(pair, 1, 100)) == 5


def test_the_classes_of_one_network_have_their_own() -> None:
    network = PerClassVAE(2, "RHVAE", **ARGUMENTS, channels=[4, 8])
    for number, member in enumerate(network.members):
        with_centroids(member.latent, codes(5 + number, number))
    spec = toy_spec((8, 8), mask=False, truncation=False, classes=CLASSES)
    generator = VAEGenerator(network, spec)
    assert [len(manifold_centroids(generator, number, 100)) for number in (0, 1)] == [5, 6]


def test_other_latent_distributions_have_none() -> None:
    assert manifold_latent(toy_generator((8, 8)), None) is None
    assert manifold_centroids(toy_generator((8, 8), classes=["a", "b"]), 1, 5) is None
