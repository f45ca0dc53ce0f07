# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""How close synthetic samples are to real ones."""

from __future__ import annotations

from monai_genaug.metrics.coverage import DensityCoverageMetric, density_and_coverage
from monai_genaug.metrics.feature_metric import FeatureMetric
from monai_genaug.metrics.frechet import FrechetDistanceMetric, frechet_distance
from monai_genaug.metrics.kernel import KernelDistanceMetric, kernel_distance
from monai_genaug.metrics.per_class import metric_per_class
from monai_genaug.metrics.precision_recall import PrecisionRecallMetric, precision_and_recall
from monai_genaug.metrics.realism import RealismMetric, realism_scores
from monai_genaug.metrics.vendi import VendiScoreMetric, vendi_score

__all__ = [
    "DensityCoverageMetric",
    "FeatureMetric",
    "FrechetDistanceMetric",
    "KernelDistanceMetric",
    "PrecisionRecallMetric",
    "RealismMetric",
    "VendiScoreMetric",
    "density_and_coverage",
    "frechet_distance",
    "kernel_distance",
    "metric_per_class",
    "precision_and_recall",
    "realism_scores",
    "vendi_score",
]
