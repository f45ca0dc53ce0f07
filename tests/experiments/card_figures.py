# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Figures for cards."""

from __future__ import annotations

from monai_genaug.experiments.feature_quality import FeatureQuality, FeatureRow
from monai_genaug.metrics import FEATURE_METRICS
from monai_genaug.quality import AuditCheck, AuditReport, AuditThresholds

LIMITS = AuditThresholds(0.001, 0.02, 0.05, 0.05, 0.1, 0.1, 0.01)


def feature_row(scope: str, images: str, first: float, count: int = 156) -> FeatureRow:
    """Values ``first``, ``first + 1``, ... in the order of the metrics."""
    return FeatureRow(scope, images, count, count, {name: first + i for i, name in enumerate(FEATURE_METRICS)})


FEATURES = FeatureQuality(
    "medical",
    (
        feature_row("all", "synthetic", 0.5),
        feature_row("all", "training", 10.25),
        feature_row("malignant", "synthetic", 20, 42),
        feature_row("malignant", "training", 30, 42),
    ),
)


def check(name: str, scope: str = "all", effect: float = 0.001, p_value: float = 0.5) -> AuditCheck:
    """A check of the default limit."""
    interval = (effect - 0.01, effect + 0.02)
    return AuditCheck(name, scope, effect, interval, p_value, getattr(LIMITS, name), 0.002, 500, 546, 180)


def audit_report(*checks: AuditCheck) -> AuditReport:
    """Of a generator called breast."""
    return AuditReport(
        generator="breast",
        sha256="0" * 64,
        extractor="PixelThumbnails",
        seed=0,
        n_samples=500,
        n_train=540,
        n_held_out=180,
        n_shared=54,
        thresholds=LIMITS,
        checks=checks,
        data_copying={"all": -0.5},
        pairs=(),
    )


PASSING = audit_report(check("exact_copies", effect=0.0), check("membership"), check("membership", "malignant"))
FAILING = audit_report(
    check("exact_copies", effect=0.0),
    check("membership", effect=0.3, p_value=0.0001),
    check("membership", "malignant", effect=0.4, p_value=0.0001),
    check("membership", "normal", effect=0.4),
    check("reconstruction"),
    check("reconstruction", "normal", effect=0.25, p_value=0.0),
)
LEAKING_WEIGHTS = audit_report(check("membership"), check("centroids", effect=0.9, p_value=0.0))
