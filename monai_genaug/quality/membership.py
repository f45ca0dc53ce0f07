# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Membership inference: can the training items be recognised by the samples of a generator, or by its encoder?"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from monai_genaug.generators import LatentGenerator, derive_seed
from monai_genaug.generators.class_labels import ClassLabel
from monai_genaug.quality.nearest import Variants, nearest_items

__all__ = ["Attack", "MembershipResult", "membership_inference", "membership_scores", "reconstruction_scores"]

Attack = Literal["distance", "monte_carlo", "density_ratio"]

_ATTACKS = ("distance", "monte_carlo", "density_ratio")
_NEIGHBOURS = 100  # of each item that the Monte Carlo attack looks at, at most
_NORMAL = 1.959964  # of a two-sided 95 % interval


@dataclass(frozen=True)
class MembershipResult:
    """How well an attack recognises members.

    Args:
        auc: area under the ROC curve; 0.5 for guessing, 1 for an attack without errors.
        interval: of ``auc``, 95 % (DeLong).
        p_value: one-sided, of an area so far above 0.5.
        tpr: share of members that are recognised while at most 1 % of non-members are taken for members.
        tpr_interval: 95 %, bootstrap over members and non-members.
        n_members, n_non_members: sizes.
    """

    auc: float
    interval: tuple[float, float]
    p_value: float
    tpr: float
    tpr_interval: tuple[float, float]
    n_members: int
    n_non_members: int


def membership_scores(
    members: Tensor,
    non_members: Tensor,
    samples: Variants,
    attack: Attack = "distance",
    subjects: tuple[Tensor, Tensor] | None = None,
) -> tuple[Tensor, Tensor]:
    """Scores of a black-box attack, which sees samples only: the higher, the more likely a member.

    - ``"distance"``: minus the distance to the nearest sample (Chen et al., GAN-Leaks, arXiv 1909.03935, eq. 4).
    - ``"monte_carlo"``: sum over the samples within epsilon of the item of -log(distance / epsilon); epsilon is the
      median distance between items and their nearest samples (Hilprecht et al., PETS 2019, eq. 5 and 8).
    - ``"density_ratio"``: log of the distance to the nearest other real item over that to the nearest sample, which is
      the nearest-neighbour estimate of the logarithm of the ratio of both densities, up to a factor: samples near an
      item count more where real items are rare (as in van Breugel et al., DOMIAS, arXiv 2302.12580, eq. 2).

    Args:
        members, non_members: features of training and of held-out items, ``(m, d)`` and ``(l, d)``.
        samples: features ``(n, d)``, or variants of them, see :func:`nearest_items`.
        attack: which one.
        subjects: numbers of the subjects of members and non-members, int64 ``(m,)`` and ``(l,)``, which
            ``"density_ratio"`` needs to know what another item is; None if each item is its own.

    Returns:
        Scores of the members ``(m,)`` and of the others ``(l,)``, float64.

    Raises:
        ValueError: an unknown attack, or features that cannot be compared.
    """
    if attack not in _ATTACKS:
        raise ValueError(f"attack is {attack!r}, allowed: {_ATTACKS}.")
    items = torch.cat([members, non_members])
    table = samples if isinstance(samples, Tensor) else samples[0]
    near = nearest_items(items, samples, min(_NEIGHBOURS, len(table)) if attack == "monte_carlo" else 1).distances
    nearest = near[:, 0]
    tiny = 1e-3 * float(nearest.median()) or 1e-12
    if attack == "distance":
        scores = -nearest
    elif attack == "monte_carlo":
        epsilon = nearest.median().clamp_min(tiny)
        scores = (-(near.clamp_min(tiny) / epsilon).log()).clamp_min(0.0).sum(dim=1)
    else:
        own = torch.arange(len(items)) if subjects is None else torch.cat(subjects)
        own = own.to(items.device)
        others = nearest_items(items, items, groups=(own, own)).distances[:, 0]
        scores = ((others + tiny) / (nearest + tiny)).log()
    return scores[: len(members)].cpu(), scores[len(members) :].cpu()


def reconstruction_scores(
    generator: LatentGenerator, batch: Mapping[str, Tensor], class_label: Sequence[ClassLabel] | None = None
) -> Tensor:
    """Scores of an attack that has the generator itself: minus the error of the reconstructed image.

    Args:
        generator: with an encoder.
        batch: real items in its space, all outputs in ``spec.encodes``.
        class_label: one per item, for a generator with classes.

    Returns:
        Minus the root mean square error over all images of each item, ``(n,)``, float64.
    """
    rebuilt = generator.reconstruct(batch, class_label)
    images = [name for name, output in generator.spec.outputs.items() if output.kind == "image"]
    errors = [(rebuilt[name].cpu().double() - batch[name].cpu().double()).square().flatten(1) for name in images]
    return -torch.cat(errors, dim=1).mean(dim=1).sqrt()


def membership_inference(
    scores: Sequence[tuple[Tensor, Tensor]], seed: int = 0, n_resamples: int = 500
) -> MembershipResult:
    """Measures an attack by its scores.

    Classes are attacked one by one, since some are easier to be near to: the area is the mean of those of the classes,
    weighted by their members, and each class has its own threshold.

    Args:
        scores: of each class, those of members ``(m,)`` and of non-members ``(l,)``, one of each at least.
        seed: of the bootstrap.
        n_resamples: of the bootstrap.

    Raises:
        ValueError: no class, or one without members or non-members.
    """
    if not scores or min(min(len(a), len(b)) for a, b in scores) < 1:
        sizes = [(len(a), len(b)) for a, b in scores]
        raise ValueError(f"classes have {sizes} members and non-members, needed: 1 and more of each.")
    total = sum(len(members) for members, _ in scores)
    auc = variance = 0.0
    for members, others in scores:
        area, own_variance = _area(members, others)
        auc += len(members) / total * area
        variance += (len(members) / total) ** 2 * own_variance
    half = _NORMAL * math.sqrt(variance)
    recognised = _recognised(scores) / total
    drawn = [_recognised(_resampled(scores, derive_seed("membership", seed, i))) / total for i in range(n_resamples)]
    low, high = torch.tensor(drawn, dtype=torch.float64).quantile(torch.tensor([0.025, 0.975], dtype=torch.float64))
    return MembershipResult(
        auc=auc,
        interval=(max(0.0, auc - half), min(1.0, auc + half)),
        p_value=_upper_tail(auc - 0.5, variance),
        tpr=recognised,
        tpr_interval=(float(low), float(high)),
        n_members=total,
        n_non_members=sum(len(others) for _, others in scores),
    )


def _area(members: Tensor, others: Tensor) -> tuple[float, float]:
    """Area under the ROC curve and its variance (DeLong et al. 1988, by midranks as Sun and Xu, IEEE SPL 2014)."""
    from scipy.stats import rankdata

    m, n = len(members), len(others)
    x, y = members.double().numpy(), others.double().numpy()
    ranks = rankdata(torch.cat([members, others]).double().numpy())
    wins = torch.from_numpy((ranks[:m] - rankdata(x)) / n)  # share of non-members below each member
    losses = torch.from_numpy(1.0 - (ranks[m:] - rankdata(y)) / m)  # share of members above each non-member
    variance = sum(float(part.var()) / len(part) for part in (wins, losses) if len(part) > 1)
    return float(wins.mean()), variance


def _upper_tail(excess: float, variance: float) -> float:
    if variance <= 0.0:
        return 0.0 if excess > 0.0 else 1.0
    return 0.5 * math.erfc(excess / math.sqrt(2.0 * variance))


def _recognised(scores: Sequence[tuple[Tensor, Tensor]]) -> int:
    """Members above the threshold of their class, which at most 1 % of its non-members exceed."""
    count = 0
    for members, others in scores:
        threshold = others.sort(descending=True).values[int(0.01 * len(others))]
        count += int((members > threshold).sum())
    return count


def _resampled(scores: Sequence[tuple[Tensor, Tensor]], seed: int) -> list[tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(seed)

    def drawn(values: Tensor) -> Tensor:
        return values[torch.randint(len(values), (len(values),), generator=generator)]

    return [(drawn(members), drawn(others)) for members, others in scores]
