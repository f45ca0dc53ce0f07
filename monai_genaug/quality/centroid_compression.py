# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Centroids of a manifold latent space that stand for several training items each."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor

from monai_genaug.latent import RiemannianLatent
from monai_genaug.latent.metric import pack_products, stable_cholesky
from monai_genaug.latent.neighbours import squared_distances

__all__ = ["compress_centroids"]


@torch.no_grad()
def compress_centroids(
    latent: RiemannianLatent, min_subjects: int = 5, subjects: Sequence[str] | None = None, seed: int = 0
) -> RiemannianLatent:
    """A manifold whose centroids each stand for at least ``min_subjects`` training items.

    The centroids c_i of a trained :class:`RiemannianLatent` are codes of training items: whoever has the file can
    decode them. Here they are clustered by k-means, clusters that are too small join the one next to them, and each
    cluster K becomes one centroid with one matrix::

        c_K = mean of c_i over i in K,    M_K = sum over i in K of M_i exp(-|c_K - c_i|^2 / T^2).

    So at c_K the cluster adds to G^-1 what its members added. Support and chains are fitted anew, the support to the
    former centroids; the spread stays as it is.

    Args:
        latent: fitted; it stays as it is.
        min_subjects: at least 2; with 1 nothing would change.
        subjects: whom each centroid shows, N names; None if each shows somebody else.
        seed: of the clustering.

    Returns:
        A new distribution.

    Raises:
        ValueError: a number of subjects below 2, names that don't fit, or fewer than two clusters of that size.
        RuntimeError: the distribution is not fitted.
    """
    if min_subjects < 2:
        raise ValueError(f"min_subjects is {min_subjects}, allowed: 2 and more.")
    if not latent.is_fitted:
        raise RuntimeError("RiemannianLatent has not been fitted: there are no centroids to compress.")
    codes = latent.metric.centroids.double()
    names = [str(i) for i in range(len(codes))] if subjects is None else list(subjects)
    if len(names) != len(codes):
        raise ValueError(f"{len(names)} subjects for {len(codes)} centroids, needed: one per centroid.")
    cluster = _clusters(codes, names, min_subjects, seed)
    count = int(cluster.max()) + 1
    if count < 2:
        raise ValueError(f"{len(set(names))} subjects make {count} cluster of {min_subjects}, needed: 2 and more.")
    products = pack_products(latent.metric.factors.double())
    centres = torch.stack([codes[cluster == k].mean(dim=0) for k in range(count)])
    temperature = latent.metric.temperature.double()
    matrices = []
    for k in range(count):
        own = cluster == k
        weights = torch.exp(-squared_distances(centres[k : k + 1], codes[own]) / temperature**2)
        matrices.append((weights @ products[own]).view(latent.latent_dim, latent.latent_dim))
    compressed = copy.deepcopy(latent)
    compressed.fit(centres, stable_cholesky(torch.stack(matrices)), held_out_codes=codes)
    compressed.spread = latent.spread.clone()
    return compressed


def _clusters(codes: Tensor, names: Sequence[str], smallest: int, seed: int) -> Tensor:
    """Number of the cluster of each code ``(N,)``, 0 and up; each with ``smallest`` names, if there are so many."""
    from sklearn.cluster import KMeans

    wanted = max(1, len(set(names)) // smallest)
    found = KMeans(wanted, n_init=5, random_state=seed).fit_predict(codes.cpu().numpy())
    cluster = torch.from_numpy(found).long()
    ids = {name: i for i, name in enumerate(dict.fromkeys(names))}
    people = torch.tensor([ids[name] for name in names])
    while True:
        numbers = cluster.unique()
        sizes = torch.tensor([len(people[cluster == k].unique()) for k in numbers.tolist()])
        if len(numbers) == 1 or int(sizes.min()) >= smallest:
            return torch.searchsorted(numbers, cluster).to(codes.device)
        small = int(numbers[sizes.argmin()])
        centres = torch.stack([codes.cpu()[cluster == k].mean(dim=0) for k in numbers.tolist()])
        distances = squared_distances(centres[numbers == small], centres)[0]
        distances[numbers == small] = torch.inf
        cluster[cluster == small] = int(numbers[distances.argmin()])
