# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""The checks of a privacy audit, from what was gathered of each class."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from monai_genaug.quality.audit_report import AuditCheck, AuditThresholds
from monai_genaug.quality.membership import MembershipResult, membership_inference, membership_scores
from monai_genaug.quality.memorisation import (
    DistanceRatio,
    RankedReferences,
    copy_share,
    distance_ratio_test,
    rank_references,
)
from monai_genaug.quality.nearest import nearest_items

__all__ = ["CHECKS_PER_SCOPE", "ClassEvidence", "checks_of"]

CHECKS_PER_SCOPE = 5
"""Checks that can fail by chance."""

_FEWEST_PERMUTATIONS = 999


@dataclass(frozen=True, eq=False)
class ClassEvidence:
    """Samples of a class, in features, and what they are compared with.

    Args:
        seeds: of the samples.
        exact: whether a sample equals a training item, bool ``(n,)``.
        samples: features ``(n, F)`` of the samples as they are, and mirrored.
        train: features ``(m, F)`` of the training items.
        held_out: features ``(l, F)`` of the held-out items as they are, and mirrored.
        subjects: numbers of the subjects of both, ``(m,)`` and ``(l,)``.
        rows: places of the training items in the training part ``(m,)``.
        reconstruction: scores of members and others by the encoder; None without encoder.
        centroids: features of decoded centroids, as they are and mirrored; None without a manifold.
    """

    seeds: Sequence[int]
    exact: Tensor
    samples: Sequence[Tensor]
    train: Tensor
    held_out: Sequence[Tensor]
    subjects: tuple[Tensor, Tensor]
    rows: Tensor
    reconstruction: tuple[Tensor, Tensor] | None
    centroids: Sequence[Tensor] | None

    @cached_property
    def ranked(self) -> RankedReferences:
        """References of the samples."""
        return rank_references(self.samples, self.train, self.held_out[0], self.subjects)

    @cached_property
    def ranked_centroids(self) -> RankedReferences | None:
        """References of the decoded centroids."""
        if self.centroids is None:
            return None
        return rank_references(self.centroids, self.train, self.held_out[0], self.subjects)

    @cached_property
    def held_out_ratios(self) -> Tensor:
        """Distance of each held-out item to training items over that to the other held-out ones."""
        own = self.subjects[1]
        to_train = nearest_items(self.held_out, self.train).distances[:, 0]
        to_others = nearest_items(self.held_out, self.held_out[0], groups=(own, own)).distances[:, 0]
        return torch.where(to_train == to_others, 1.0, to_train / to_others)

    @cached_property
    def membership(self) -> tuple[Tensor, Tensor]:
        """Scores of members and others by the samples."""
        return membership_scores(self.train, self.held_out[0], self.samples, "density_ratio", self.subjects)


def checks_of(
    scope: str, parts: Sequence[ClassEvidence], limits: AuditThresholds, significance: float, seed: int
) -> list[AuditCheck]:
    """All checks that the evidence of some classes allows.

    Args:
        scope: what they are called.
        parts: evidence of the classes.
        limits: largest effects that pass.
        significance: of each check.
        seed: of permutations and resampling.
    """
    from scipy.stats import binomtest

    sizes = {
        "n_samples": sum(len(part.seeds) for part in parts),
        "n_train": sum(len(part.train) for part in parts),
        "n_held_out": sum(len(part.held_out[0]) for part in parts),
    }

    def check(name: str, effect: float, interval: tuple[float, float], p_value: float, **details: float) -> AuditCheck:
        return AuditCheck(
            name, scope, effect, interval, p_value, getattr(limits, name), significance, **sizes, details=details
        )

    def ratio_check(name: str, found: DistanceRatio) -> AuditCheck:
        shares = {"share_nearer": found.share_nearer, "expected_share": found.expected_share}
        return check(name, found.effect, found.interval, found.p_value, **shares)

    def attack_check(name: str, found: MembershipResult) -> AuditCheck:
        low, high = found.interval
        tpr = {"tpr": found.tpr, "tpr_low": found.tpr_interval[0], "tpr_high": found.tpr_interval[1]}
        return check(name, found.auc - 0.5, (low - 0.5, high - 0.5), found.p_value, **tpr)

    permutations = max(_FEWEST_PERMUTATIONS, math.ceil(2.0 / significance))
    exact = torch.cat([part.exact for part in parts])
    low, high = binomtest(int(exact.sum()), len(exact)).proportion_ci(0.95, method="exact")
    checks = [check("exact_copies", float(exact.double().mean()), (float(low), float(high)), 0.0)]
    near = copy_share(
        torch.cat([part.ranked.ratios for part in parts]), torch.cat([part.held_out_ratios for part in parts])
    )
    excess = (near.interval[0] - near.expected, near.interval[1] - near.expected)
    checks.append(check("copies", near.share - near.expected, excess, near.p_value, threshold_ratio=near.threshold))
    ranked = [part.ranked for part in parts]
    checks.append(ratio_check("distance_ratio", distance_ratio_test(ranked, permutations, seed)))
    checks.append(attack_check("membership", membership_inference([part.membership for part in parts], seed)))
    scores = [part.reconstruction for part in parts if part.reconstruction is not None]
    if len(scores) == len(parts):
        checks.append(attack_check("reconstruction", membership_inference(scores, seed)))
    centroids = [part.ranked_centroids for part in parts if part.ranked_centroids is not None]
    if len(centroids) == len(parts):
        checks.append(ratio_check("centroids", distance_ratio_test(centroids, permutations, seed)))
    return checks
