# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Distributions of the latent code z, each a pure function of the seeds."""

from __future__ import annotations

from monai_genaug.latent.base import LatentDistribution
from monai_genaug.latent.by_name import LATENT_NAMES, latent_by_name
from monai_genaug.latent.class_wise import ClassWiseLatent
from monai_genaug.latent.gaussian_mixture import GaussianMixtureLatent
from monai_genaug.latent.joint import JointLatent
from monai_genaug.latent.metric import RiemannianMetric
from monai_genaug.latent.normal import NormalLatent
from monai_genaug.latent.riemannian import ChainReport, RiemannianLatent
from monai_genaug.latent.truncated_normal import TruncatedNormalLatent

__all__ = [
    "LATENT_NAMES",
    "ChainReport",
    "ClassWiseLatent",
    "GaussianMixtureLatent",
    "JointLatent",
    "LatentDistribution",
    "NormalLatent",
    "RiemannianLatent",
    "RiemannianMetric",
    "TruncatedNormalLatent",
    "latent_by_name",
]
