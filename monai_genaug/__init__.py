# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Generative data augmentation for MONAI.

A generator is a function from (seed, class) to a sample; everything else stores, places, trains or judges samples::

    import monai_genaug as mg

    generator = mg.load_generator("hippocampus_mri_rhvae")      # mg.list_generators() has the others
    pairs = generator.sample(seeds=range(4))                    # {"image": (4, 1, 48, 64, 48), "mask": ...}
    transform = mg.RandGenerativeSampled(["image", "label"], generator, prob=0.3)

Start with ``help(mg.load_generator)``, ``help(mg.RandGenerativeSampled)`` and ``help(mg.SyntheticDataset)``; the
packages ``mg.data``, ``mg.metrics``, ``mg.quality`` and so on hold the rest.

Importing the package loads every component, so that bundle configs find our classes by their short names.
"""

from __future__ import annotations

from importlib.metadata import version as _version

from monai_genaug import data, engines, generators, handlers, latent, losses, metrics, networks, quality, transforms
from monai_genaug.data import SyntheticDataset, plan_counts, plan_replacement
from monai_genaug.generators import (
    DiffusionGenerator,
    FunctionGenerator,
    GeneratorSpec,
    LatentGenerator,
    ModuleGenerator,
    OutputSpec,
    PerClassGenerator,
    Provenance,
    RefreshedPool,
    SampleGenerator,
    SamplePool,
    build_pool,
    export_network,
    image_spec,
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
    "ModuleGenerator",
    "FunctionGenerator",
    "export_network",
    "image_spec",
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
