# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Generative data augmentation for MONAI.

Importing the package loads every component, so that bundle configs find our classes by their short names.
"""

from __future__ import annotations

from importlib.metadata import version as _version

from monai_genaug import data, engines, generators, handlers, latent, losses, metrics, networks, quality, transforms
from monai_genaug.data import SyntheticDataset, plan_counts, plan_replacement
from monai_genaug.generators import (
    DiffusionGenerator,
    GeneratorSpec,
    LatentGenerator,
    OutputSpec,
    PerClassGenerator,
    Provenance,
    RefreshedPool,
    SampleGenerator,
    SamplePool,
    build_pool,
    list_generators,
    load_generator,
)
from monai_genaug.transforms import (
    GenerativePrepareBatch,
    RandGenerativeSample,
    RandGenerativeSampleD,
    RandGenerativeSampled,
    RandGenerativeSampleDict,
    ReplaceWithSynthetic,
    ReplaceWithSyntheticD,
    ReplaceWithSyntheticd,
    ReplaceWithSyntheticDict,
    assign_ids,
)

__all__ = [
    "load_generator",
    "list_generators",
    "SampleGenerator",
    "LatentGenerator",
    "PerClassGenerator",
    "DiffusionGenerator",
    "GeneratorSpec",
    "OutputSpec",
    "Provenance",
    "RandGenerativeSample",
    "RandGenerativeSampleD",
    "RandGenerativeSampled",
    "RandGenerativeSampleDict",
    "ReplaceWithSynthetic",
    "ReplaceWithSyntheticD",
    "ReplaceWithSyntheticd",
    "ReplaceWithSyntheticDict",
    "GenerativePrepareBatch",
    "assign_ids",
    "SyntheticDataset",
    "SamplePool",
    "RefreshedPool",
    "build_pool",
    "plan_counts",
    "plan_replacement",
    "data",
    "engines",
    "generators",
    "handlers",
    "latent",
    "losses",
    "metrics",
    "networks",
    "quality",
    "transforms",
    "__version__",
]

__version__ = _version("monai-genaug")
