# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Generators: functions from (seed, class) to a sample, from networks, bundles and pools."""

from __future__ import annotations

from monai_genaug.generators.base import LatentGenerator, SampleGenerator
from monai_genaug.generators.bundle_recipe import BundleRecipe
from monai_genaug.generators.class_labels import plain_label, resolve_class_labels
from monai_genaug.generators.diffusion import DiffusionGenerator
from monai_genaug.generators.function import FunctionGenerator
from monai_genaug.generators.hashing import content_hash, subject_hash
from monai_genaug.generators.image_spec import image_spec
from monai_genaug.generators.latent import VAEGenerator
from monai_genaug.generators.loading import bundle_folder, list_generators, load_generator, read_spec
from monai_genaug.generators.module import ModuleGenerator
from monai_genaug.generators.monai_bundle import MonaiBundleGenerator
from monai_genaug.generators.network import NetworkGenerator
from monai_genaug.generators.network_export import export_network
from monai_genaug.generators.per_class import PerClassGenerator
from monai_genaug.generators.pool import SamplePool
from monai_genaug.generators.pool_building import build_pool
from monai_genaug.generators.preprocessing import preprocessing_for
from monai_genaug.generators.refreshed_pool import RefreshedPool
from monai_genaug.generators.seeding import current_rank, current_worker, derive_seed
from monai_genaug.generators.spec import GeneratorSpec, OutputSpec, Provenance

__all__ = [
    "SampleGenerator",
    "LatentGenerator",
    "NetworkGenerator",
    "VAEGenerator",
    "DiffusionGenerator",
    "PerClassGenerator",
    "ModuleGenerator",
    "FunctionGenerator",
    "SamplePool",
    "RefreshedPool",
    "build_pool",
    "MonaiBundleGenerator",
    "BundleRecipe",
    "load_generator",
    "list_generators",
    "bundle_folder",
    "export_network",
    "image_spec",
    "GeneratorSpec",
    "OutputSpec",
    "Provenance",
    "read_spec",
    "preprocessing_for",
    "content_hash",
    "subject_hash",
    "derive_seed",
    "current_rank",
    "current_worker",
    "plain_label",
    "resolve_class_labels",
]
