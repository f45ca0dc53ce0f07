# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Data sets of synthetic items, how many of which class, and how they go together with real ones."""

from __future__ import annotations

from monai_genaug.data.decathlon import decathlon_items, hippocampus_subject
from monai_genaug.data.ham10000 import HAM10000_CLASSES, ham10000_items
from monai_genaug.data.medmnist import medmnist_info, medmnist_items, medmnist_names
from monai_genaug.data.mixing import MarkedDataset, MixedDataset, mix_concatenate, mix_interleave
from monai_genaug.data.planning import PlanStrategy, plan_counts, plan_replacement
from monai_genaug.data.sampling import sample_weights
from monai_genaug.data.splitting import check_disjoint, split_by_subject
from monai_genaug.data.synthetic_dataset import SyntheticDataset

__all__ = [
    "check_disjoint",
    "decathlon_items",
    "hippocampus_subject",
    "HAM10000_CLASSES",
    "ham10000_items",
    "medmnist_info",
    "medmnist_items",
    "medmnist_names",
    "PlanStrategy",
    "MarkedDataset",
    "mix_concatenate",
    "mix_interleave",
    "MixedDataset",
    "plan_counts",
    "plan_replacement",
    "sample_weights",
    "split_by_subject",
    "SyntheticDataset",
]
