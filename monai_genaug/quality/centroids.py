# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""The centroids that a manifold latent distribution stores: codes of training items."""

from __future__ import annotations

import torch
from torch import Tensor

from monai_genaug.generators import LatentGenerator, PerClassGenerator, VAEGenerator
from monai_genaug.latent import ClassWiseLatent, RiemannianLatent

__all__ = ["manifold_centroids", "manifold_latent"]


def manifold_latent(generator: LatentGenerator, number: int | None) -> RiemannianLatent | None:
    """The manifold that a generator samples a class from.

    Args:
        generator: with an encoder.
        number: class id; None for a generator without classes.

    Returns:
        The generator's own distribution, not a copy; None if it samples from another kind.
    """
    if isinstance(generator, PerClassGenerator):
        assert number is not None
        member = list(generator.members.values())[number]
        return manifold_latent(member, None) if isinstance(member, LatentGenerator) else None
    latent = getattr(generator.network, "latent", None) if isinstance(generator, VAEGenerator) else None
    if isinstance(latent, ClassWiseLatent):
        assert number is not None
        latent = latent.members[number]
    return latent if isinstance(latent, RiemannianLatent) else None


def manifold_centroids(generator: LatentGenerator, number: int | None, count: int, seed: int = 0) -> Tensor | None:
    """Some of the centroids that a generator's file holds.

    Args:
        generator, number: as in :func:`manifold_latent`.
        count: at most so many, chosen at random.
        seed: of the choice.

    Returns:
        Codes ``(m, d)``; None for a generator that stores none for this class.
    """
    latent = manifold_latent(generator, number)
    if latent is None:
        return None
    centroids = latent.metric.centroids
    return centroids[torch.randperm(len(centroids), generator=torch.Generator().manual_seed(seed))[:count]]
