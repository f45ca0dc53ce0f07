# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Networks that turn images into features."""

from __future__ import annotations

from monai_genaug.metrics.features.base import FeatureExtractor
from monai_genaug.metrics.features.by_name import feature_extractor
from monai_genaug.metrics.features.inception import InceptionFeatures
from monai_genaug.metrics.features.medical import MedicalFeatures
from monai_genaug.metrics.features.module import ModuleFeatures
from monai_genaug.metrics.features.random_weights import RandomFeatures
from monai_genaug.metrics.features.torchscript import TorchScriptFeatures

__all__ = [
    "FeatureExtractor",
    "InceptionFeatures",
    "MedicalFeatures",
    "ModuleFeatures",
    "RandomFeatures",
    "TorchScriptFeatures",
    "feature_extractor",
]
