# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Centroids of a manifold latent space that stand for several training items each."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor

from monai_genaug.latent import ClassWiseLatent, LatentDistribution, RiemannianLatent
from monai_genaug.latent.metric import pack_products, stable_cholesky
from monai_genaug.latent.neighbours import squared_distances
from monai_genaug.networks import LatentDecoder

__all__ = ["compress_centroids", "compress_network", "has_manifolds"]


@torch.no_grad()
def compress_centroids(
    latent: RiemannianLatent,
    min_subjects: int = 5,
    subjects: Sequence[str] | None = None,
    seed: int = 0,
    width: float | None = None,
) -> RiemannianLatent:
    """A manifold whose centroids each stand for at least ``min_subjects`` training items.

    The centroids c_i of a trained :class:`RiemannianLatent` are codes of training items: whoever has the file can
    decode them. Here they are clustered by k-means, clusters that are too small join the one next to them, and each
    cluster K becomes one centroid with one matrix::

        c_K = mean of c_i over i in K,    M_K = sum over i in K of M_i exp(-|c_K - c_i|^2 / T^2).

    So at c_K the cluster adds to G^-1 what its members added. Support and chains are fitted anew, the support to the
    former centroids; the spread stays as it is. In d dimensions sqrt(det G^-1) of one centroid falls to a distance of
    about T: with the temperature of single items, samples would crowd around the means of clusters that are wider.
    ``width`` times the root mean square of ``|c_K - c_i|`` is the T that fits the clusters.

    Args:
        latent: fitted; it stays as it is.
        min_subjects: at least 2; with 1 nothing would change.
        subjects: whom each centroid shows, N names; None if each shows somebody else.
        seed: of the clustering.
        width: of the new temperature, > 0, in units of the clusters' own; None keeps the temperature.

    Returns:
        A new distribution.

    Raises:
        ValueError: a number of subjects below 2, a width that is not positive, names that don't fit, or fewer than two
            clusters of that size.
        RuntimeError: the distribution is not fitted.
    """
    if min_subjects < 2:
        raise ValueError(f"min_subjects is {min_subjects}, allowed: 2 and more.")
    if width is not None and not width > 0.0:
        raise ValueError(f"width is {width}, allowed: above 0, or None.")
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
    compressed = copy.deepcopy(latent)
    if width is not None:
        compressed.metric.temperature.fill_(width * (codes - centres[cluster]).square().sum(dim=1).mean().sqrt())
    temperature = compressed.metric.temperature.double()
    matrices = []
    for k in range(count):
        own = cluster == k
        weights = torch.exp(-squared_distances(centres[k : k + 1], codes[own]) / temperature**2)
        matrices.append((weights @ products[own]).view(latent.latent_dim, latent.latent_dim))
    compressed.fit(centres, stable_cholesky(torch.stack(matrices)), held_out_codes=codes)
    compressed.spread = latent.spread.clone()
    return compressed


def compress_network(
    network: LatentDecoder,
    min_subjects: int,
    subjects: Sequence[str] | None = None,
    classes: Sequence[int] | None = None,
    width: float | None = None,
) -> LatentDecoder:
    """A copy of a network whose manifolds have compressed centroids, see :func:`compress_centroids`.

    Args:
        network: its latent distribution is fitted; one without manifolds has nothing to compress.
        min_subjects: of each centroid.
        subjects: whom each training item shows, in the order in which the manifolds were fitted; None if each shows
            somebody else.
        classes: number of each training item's class; None for a network without classes.
        width: as there.

    Raises:
        ValueError: a network without manifolds, or what :func:`compress_centroids` refuses.
    """
    if not has_manifolds(network):
        kind = type(network.latent).__name__
        raise ValueError(f"{kind} stores no codes of training items: there is nothing to compress.")
    made = copy.deepcopy(network)
    for number, member in enumerate(_members(made)):
        assert isinstance(member, RiemannianLatent)
        own = subjects
        if subjects is not None and classes is not None:
            own = [name for name, of_class in zip(subjects, classes, strict=True) if of_class == number]
        member.load_state_dict(compress_centroids(member, min_subjects, own, width=width).state_dict())
    return made


def has_manifolds(network: LatentDecoder) -> bool:
    """Whether a network draws its codes, those of each class, from a manifold with centroids."""
    return all(isinstance(member, RiemannianLatent) for member in _members(network))


def _members(network: LatentDecoder) -> Sequence[LatentDistribution]:
    latent = network.latent
    return latent.members if isinstance(latent, ClassWiseLatent) else [latent]


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
        if len(numbers) == 1 and len(ids) >= 2 * smallest:
            return _halves(codes, people.to(codes.device))
        if len(numbers) == 1 or int(sizes.min()) >= smallest:
            return torch.searchsorted(numbers, cluster).to(codes.device)
        small = int(numbers[sizes.argmin()])
        centres = torch.stack([codes.cpu()[cluster == k].mean(dim=0) for k in numbers.tolist()])
        distances = squared_distances(centres[numbers == small], centres)[0]
        distances[numbers == small] = torch.inf
        cluster[cluster == small] = int(numbers[distances.argmin()])


def _halves(codes: Tensor, people: Tensor) -> Tensor:
    """Cluster 0 or 1 of each code: half of the people each, as they lie along the direction of largest variance."""
    direction = torch.linalg.svd(codes - codes.mean(dim=0), full_matrices=False).Vh[0]
    places = torch.stack([(codes[people == person] @ direction).mean() for person in people.unique()])
    upper = places.argsort().argsort() >= len(places) // 2
    return upper[people].long()
