# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Generated samples in a MONAI chain: at random, once and for all, and per batch in a trainer."""

from __future__ import annotations

from monai_genaug.transforms.classical import CLASSICAL_RECIPES, classical_recipe
from monai_genaug.transforms.field_of_view import FieldOfView, FieldOfViewD, FieldOfViewd, FieldOfViewDict
from monai_genaug.transforms.item_ids import assign_ids
from monai_genaug.transforms.prepare_batch import GenerativePrepareBatch
from monai_genaug.transforms.rand_generative_sample import (
    RandGenerativeSample,
    RandGenerativeSampleD,
    RandGenerativeSampled,
    RandGenerativeSampleDict,
)
from monai_genaug.transforms.replace_with_synthetic import (
    ReplaceWithSynthetic,
    ReplaceWithSyntheticD,
    ReplaceWithSyntheticd,
    ReplaceWithSyntheticDict,
)

__all__ = [
    "CLASSICAL_RECIPES",
    "classical_recipe",
    "RandGenerativeSample",
    "RandGenerativeSampleD",
    "RandGenerativeSampleDict",
    "RandGenerativeSampled",
    "ReplaceWithSynthetic",
    "ReplaceWithSyntheticD",
    "ReplaceWithSyntheticDict",
    "ReplaceWithSyntheticd",
    "GenerativePrepareBatch",
    "FieldOfView",
    "FieldOfViewD",
    "FieldOfViewDict",
    "FieldOfViewd",
    "assign_ids",
]
