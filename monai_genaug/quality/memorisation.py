# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Are synthetic samples nearer to training items than to real items that the generator never saw?

Distances to training items alone say little: a generator of smooth images is nearer to them than any real image is.
Both tests here compare with held-out items instead, which smooth images approach just as well. What they ask is
whether training and held-out items can be told apart by the samples; without memorisation they are exchangeable.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from monai_genaug.quality.nearest import Variants, nearest_items

__all__ = ["CopyShare", "DistanceRatio", "RankedReferences", "copy_share", "distance_ratio_test", "rank_references"]

_MISSED = 1e-9  # probability that all references that are kept come from one part, if membership is random
_FLOOR = 0.1  # of the typical distance, added to all: bounds what a single copy or duplicate contributes
_TIE = 1e-9  # relative; distances that differ less are equal, so that no result hangs on rounding errors
_ELEMENTS = 2**22  # of the largest temporary of a block of permutations
_NORMAL = 1.959964  # of a two-sided 95 % interval


@dataclass(frozen=True, eq=False)
class RankedReferences:
    """The references nearest to each sample, training and held-out items together.

    Args:
        distances: ``(n, k)``, rising, float64.
        indices: ``(n, k)``; below ``n_train`` training items, from there on held-out ones.
        n_train, n_held_out: numbers of references.
        units: ``(n_train + n_held_out,)``, int64: what is exchangeable as a whole, a subject or an item.
    """

    distances: Tensor
    indices: Tensor
    n_train: int
    n_held_out: int
    units: Tensor

    @property
    def to_train(self) -> Tensor:
        """Distance of each sample to its nearest training item ``(n,)``; a lower bound where none is ranked."""
        return _first(self.distances, self.indices < self.n_train)

    @property
    def to_held_out(self) -> Tensor:
        """Distance of each sample to its nearest held-out item ``(n,)``; a lower bound where none is ranked."""
        return _first(self.distances, self.indices >= self.n_train)

    @property
    def nearest_train(self) -> Tensor:
        """Row of the training item that is nearest to each sample ``(n,)``; -1 where none is ranked."""
        wanted = self.indices < self.n_train
        rows = self.indices.gather(1, wanted.to(torch.uint8).argmax(dim=1, keepdim=True)).squeeze(1)
        return rows.masked_fill(~wanted.any(dim=1), -1)

    @property
    def ratios(self) -> Tensor:
        """Distance to training over distance to held-out items ``(n,)``; 1 where both are 0."""
        to_train, to_held_out = self.to_train, self.to_held_out
        return torch.where(to_train == to_held_out, 1.0, to_train / to_held_out)


@dataclass(frozen=True)
class DistanceRatio:
    """Result of :func:`distance_ratio_test`.

    Args:
        effect: mean over the samples of log(distance to held-out / distance to training items), minus what it would
            be if training and held-out items were exchangeable: 0 without memorisation, log 2 where training items
            are half as far as they should be.
        interval: about 95 %, from the variance over samples and that over permutations.
        p_value: of the permutation test, one-sided.
        share_nearer: share of samples that are nearer to a training item; ties count half.
        expected_share: what that would be if the items were exchangeable.
        n_samples, n_train, n_held_out: sizes.
    """

    effect: float
    interval: tuple[float, float]
    p_value: float
    share_nearer: float
    expected_share: float
    n_samples: int
    n_train: int
    n_held_out: int


@dataclass(frozen=True)
class CopyShare:
    """Result of :func:`copy_share`.

    Args:
        share: samples nearer to training items, relative to held-out ones, than ``threshold``.
        expected: the share that is expected of real items.
        interval: of ``share``, 95 % (Clopper and Pearson).
        p_value: one-sided, of a share so large.
        threshold: ratio of distances.
        n_samples, n_held_out: sizes.
    """

    share: float
    expected: float
    interval: tuple[float, float]
    p_value: float
    threshold: float
    n_samples: int
    n_held_out: int


def rank_references(
    samples: Variants, train: Tensor, held_out: Tensor, subjects: tuple[Tensor, Tensor] | None = None
) -> RankedReferences:
    """Ranks training and held-out items by their distance to each sample.

    Only as many are kept as are needed to meet an item of both parts with near certainty, were they exchangeable.

    Args:
        samples: features ``(n, d)``, or variants of them, see :func:`nearest_items`.
        train, held_out: features ``(m, d)`` and ``(l, d)``.
        subjects: numbers of the subjects of both parts, int64 ``(m,)`` and ``(l,)``; None if each item is its own.

    Raises:
        ValueError: features that cannot be compared, or a subject in both parts.
    """
    if subjects is None:
        units = torch.arange(len(train) + len(held_out))
    else:
        both = sorted(set(subjects[0].tolist()) & set(subjects[1].tolist()))
        if both:
            raise ValueError(f"subjects {both[:5]} are in the training and in the held-out part: nothing is held out.")
        units = torch.cat(subjects).unique(return_inverse=True)[1]
    references = torch.cat([train, held_out])
    larger = max(len(train), len(held_out)) / len(references)
    kept = min(len(references), math.ceil(math.log(_MISSED) / math.log(larger)))
    nearest = nearest_items(samples, references, kept)
    return RankedReferences(
        nearest.distances.cpu(), nearest.indices.cpu(), len(train), len(held_out), units.to(torch.int64).cpu()
    )


def distance_ratio_test(ranked: Sequence[RankedReferences], n_permutations: int = 999, seed: int = 0) -> DistanceRatio:
    """Tests whether samples are nearer to training than to held-out items.

    The statistic is T = mean over samples of log(d_held_out / d_train), of distances to the nearest item of each part.
    Its distribution without memorisation is found by permuting which references are called training items, in each
    class by itself and subject by subject: this is exact where the references are exchangeable, whatever their
    numbers, duplicates and distribution, and whatever the samples look like. The effect is T minus its mean over the
    permutations, so that it does not depend on how many training and held-out items there are.

    An item that is a duplicate of another one is a reason for ties, which count nothing. Subjects with items of
    several classes are permuted class by class.

    Args:
        ranked: references of the samples of each class, see :func:`rank_references`.
        n_permutations: at least 1; the smallest p-value is 1 / (n_permutations + 1).
        seed: of the permutations.

    Raises:
        ValueError: no class, or a number of permutations below 1.
    """
    if not ranked or n_permutations < 1:
        raise ValueError(f"{len(ranked)} classes and {n_permutations} permutations, needed: 1 and more of both.")
    generator = torch.Generator().manual_seed(seed)
    total = sum(len(one.distances) for one in ranked)
    logs, shares = [], []
    permuted, permuted_share = torch.zeros(n_permutations, dtype=torch.float64), 0.0
    for one in ranked:
        weight = len(one.distances) / total
        floor = _floor(one.distances)
        log, nearer = _comparisons(one, (torch.arange(len(one.units)) < one.n_train)[None], floor)
        logs.append(log[0])
        shares.append(weight * float(nearer.mean()))
        start = 0
        for labels in _permutations(one, n_permutations, generator):
            log, nearer = _comparisons(one, labels, floor)
            permuted[start : start + len(labels)] += weight * log.mean(dim=1)
            permuted_share += weight * float(nearer.sum()) / (nearer.shape[1] * n_permutations)
            start += len(labels)
    values = torch.cat(logs)
    observed = float(values.mean())
    at_least = int((permuted >= observed - 1e-12).sum())
    effect = observed - float(permuted.mean())
    variance = float(permuted.var(correction=0)) + float(values.var(correction=0)) / total
    half = _NORMAL * math.sqrt(variance)
    return DistanceRatio(
        effect=effect,
        interval=(effect - half, effect + half),
        p_value=(1 + at_least) / (1 + n_permutations),
        share_nearer=sum(shares),
        expected_share=permuted_share,
        n_samples=total,
        n_train=sum(one.n_train for one in ranked),
        n_held_out=sum(one.n_held_out for one in ranked),
    )


def copy_share(samples: Tensor, held_out: Tensor, level: float = 0.01) -> CopyShare:
    """How many samples are nearer to a training item than real items ever are?

    A sample is called a copy if its ratio of distances, to the nearest training item over that to the nearest held-out
    one, is below the k-th smallest ratio of the l held-out items (each compared with the others), with
    k = max(1, floor(level * (l + 1))). Of samples that are exchangeable with held-out items, the number of copies then
    follows a beta-binomial distribution with parameters k and l + 1 - k, and k / (l + 1) of them are expected. Ratios,
    unlike distances, are not smaller for smooth images.

    Args:
        samples: ratios ``(n,)`` of samples, see :attr:`RankedReferences.ratios`.
        held_out: ratios ``(l,)`` of held-out items.
        level: share of real items that are nearer than the threshold, in (0, 1).

    Raises:
        ValueError: no ratios, or a level out of range.
    """
    from scipy.stats import betabinom, binomtest

    if not 0.0 < level < 1.0 or not len(samples) or not len(held_out):
        raise ValueError(
            f"level is {level} with {len(samples)} and {len(held_out)} ratios, allowed: in (0, 1), and 1 ratio or more."
        )
    n, real = len(samples), len(held_out)
    k = max(1, math.floor(level * (real + 1)))
    threshold = float(held_out.kthvalue(k).values)
    count = int((samples < threshold).sum())
    low, high = binomtest(count, n).proportion_ci(0.95, method="exact")
    return CopyShare(
        share=count / n,
        expected=k / (real + 1),
        interval=(float(low), float(high)),
        p_value=float(betabinom.sf(count - 1, n, k, real + 1 - k)),
        threshold=threshold,
        n_samples=n,
        n_held_out=real,
    )


def _comparisons(ranked: RankedReferences, is_train: Tensor, floor: float) -> tuple[Tensor, Tensor]:
    """Log ratios, and 1 where training is nearer (a half for ties), both ``(p, n)`` for labels ``(p, references)``."""
    labels = is_train[:, ranked.indices]  # (p, n, k)
    distances = ranked.distances.expand(len(labels), -1, -1)
    to_train, to_held_out = _first(distances, labels), _first(distances, ~labels)
    tied = (to_train - to_held_out).abs() <= _TIE * to_held_out
    nearer = torch.where(tied, 0.5, (to_train < to_held_out).double())
    return ((to_held_out + floor) / (to_train + floor)).log(), nearer


def _permutations(ranked: RankedReferences, count: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Labels ``(p, references)`` with as many training units as there are, block by block; ``count`` in all."""
    units = ranked.units
    n_units, n_train = int(units.max()) + 1, len(units[: ranked.n_train].unique())
    block = max(1, _ELEMENTS // max(ranked.indices.numel(), n_units))
    for start in range(0, count, block):
        size = min(block, count - start)
        order = torch.rand(size, n_units, generator=generator).argsort(dim=1)
        yield (order < n_train)[:, units]


def _first(distances: Tensor, wanted: Tensor) -> Tensor:
    """The first distance along the last axis where ``wanted`` holds; the last one where it never does."""
    place = wanted.to(torch.uint8).argmax(dim=-1)
    place = torch.where(wanted.any(dim=-1), place, distances.shape[-1] - 1)
    return distances.gather(-1, place.unsqueeze(-1)).squeeze(-1)


def _floor(distances: Tensor) -> float:
    """A small part of the typical distance between a sample and a reference."""
    typical = float(distances[distances > 0].median()) if bool((distances > 0).any()) else 1.0
    return _FLOOR * typical
