# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Data sets of synthetic items, how many of which class, and how they go together with real ones."""

from __future__ import annotations

from monai_genaug.data.bids import bids_items
from monai_genaug.data.class_folders import class_folder_items, class_folder_names
from monai_genaug.data.decathlon import decathlon_items, hippocampus_subject
from monai_genaug.data.ham10000 import HAM10000_CLASSES, ham10000_items
from monai_genaug.data.image_archives import extract_images
from monai_genaug.data.image_checks import check_images
from monai_genaug.data.image_tables import image_table_items
from monai_genaug.data.medmnist import MedMNISTInfo, medmnist_info, medmnist_items, medmnist_names
from monai_genaug.data.mixing import MarkedDataset, MixedDataset, mix_concatenate, mix_interleave
from monai_genaug.data.nucls import NUCLS_CLASSES, nucls_items
from monai_genaug.data.offline_augmentation import read_augmented, write_augmented
from monai_genaug.data.planning import PlanStrategy, plan_counts, plan_replacement
from monai_genaug.data.pool_file_formats import PoolFileFormat
from monai_genaug.data.pool_files import export_pool, import_pool
from monai_genaug.data.sampling import sample_weights
from monai_genaug.data.splitting import check_disjoint, split_by_subject
from monai_genaug.data.synthetic_dataset import SyntheticDataset

__all__ = [
    "bids_items",
    "check_disjoint",
    "check_images",
    "class_folder_items",
    "class_folder_names",
    "decathlon_items",
    "export_pool",
    "extract_images",
    "HAM10000_CLASSES",
    "ham10000_items",
    "hippocampus_subject",
    "image_table_items",
    "import_pool",
    "MarkedDataset",
    "medmnist_info",
    "medmnist_items",
    "medmnist_names",
    "MedMNISTInfo",
    "mix_concatenate",
    "mix_interleave",
    "MixedDataset",
    "NUCLS_CLASSES",
    "nucls_items",
    "plan_counts",
    "plan_replacement",
    "PlanStrategy",
    "PoolFileFormat",
    "read_augmented",
    "sample_weights",
    "split_by_subject",
    "SyntheticDataset",
    "write_augmented",
]
