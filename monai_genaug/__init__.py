# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Generative data augmentation for MONAI.

Importing the package loads every component, so that bundle configs find our classes by their short names.
"""

from __future__ import annotations

from importlib.metadata import version as _version

from monai_genaug import latent
from monai_genaug.generators.base import LatentGenerator, SampleGenerator
from monai_genaug.generators.spec import GeneratorSpec, OutputSpec, Provenance

__all__ = [
    "GeneratorSpec",
    "LatentGenerator",
    "OutputSpec",
    "Provenance",
    "SampleGenerator",
    "__version__",
    "latent",
]

__version__ = _version("monai-genaug")
