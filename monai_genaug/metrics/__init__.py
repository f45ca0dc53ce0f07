# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""How close synthetic samples are to real ones."""

from __future__ import annotations

from monai_genaug.metrics.coverage import DensityCoverageMetric, density_and_coverage
from monai_genaug.metrics.feature_metric import FeatureMetric
from monai_genaug.metrics.feature_values import FEATURE_METRICS, feature_metric_values
from monai_genaug.metrics.features import (
    FeatureExtractor,
    InceptionFeatures,
    MedicalFeatures,
    ModuleFeatures,
    RandomFeatures,
    TorchScriptFeatures,
    feature_extractor,
)
from monai_genaug.metrics.frechet import FrechetDistanceMetric, frechet_distance
from monai_genaug.metrics.kernel import KernelDistanceMetric, kernel_distance
from monai_genaug.metrics.nearest_real import nearest_real_rows
from monai_genaug.metrics.paired import nearest_real_similarity, paired_batch_similarity
from monai_genaug.metrics.pairwise_similarity import PAIRED_METRICS, image_pair_similarity
from monai_genaug.metrics.per_class import metric_per_class
from monai_genaug.metrics.precision_recall import PrecisionRecallMetric, precision_and_recall
from monai_genaug.metrics.realism import RealismMetric, realism_scores
from monai_genaug.metrics.vendi import VendiScoreMetric, vendi_score

__all__ = [
    "FEATURE_METRICS",
    "PAIRED_METRICS",
    "DensityCoverageMetric",
    "FeatureExtractor",
    "FeatureMetric",
    "FrechetDistanceMetric",
    "InceptionFeatures",
    "KernelDistanceMetric",
    "MedicalFeatures",
    "ModuleFeatures",
    "PrecisionRecallMetric",
    "RandomFeatures",
    "RealismMetric",
    "TorchScriptFeatures",
    "VendiScoreMetric",
    "density_and_coverage",
    "feature_extractor",
    "feature_metric_values",
    "frechet_distance",
    "image_pair_similarity",
    "kernel_distance",
    "metric_per_class",
    "nearest_real_rows",
    "nearest_real_similarity",
    "paired_batch_similarity",
    "precision_and_recall",
    "realism_scores",
    "vendi_score",
]
