# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""What to know before samples are used: leaks, duplicates, doubtful items, and what a generator leaves out."""

from __future__ import annotations

from monai_genaug.quality.audit import audit
from monai_genaug.quality.audit_items import AuditItems
from monai_genaug.quality.audit_report import AuditCheck, AuditReport, AuditThresholds, ClosePair
from monai_genaug.quality.centroid_compression import compress_centroids
from monai_genaug.quality.closest_pairs import closest_pairs_picture
from monai_genaug.quality.covariate import covariate_shift
from monai_genaug.quality.covariate_report import CovariateReport, CovariateShare
from monai_genaug.quality.criteria import ClassifierCriterion, MemorisationCriterion, RealismCriterion, SampleCriterion
from monai_genaug.quality.data_copying import data_copying_score
from monai_genaug.quality.duplicate_report import DuplicatePair, DuplicateReport
from monai_genaug.quality.duplicates import find_duplicates
from monai_genaug.quality.filtered import FilteredGenerator, PoolFilter, filter_pool
from monai_genaug.quality.instance_selection import InstanceSelection, select_instances
from monai_genaug.quality.label_errors import LabelErrorReport, LabelSuspicion, find_label_errors
from monai_genaug.quality.leakage import (
    HeldOutHashes,
    LeakageError,
    LeakageReport,
    LeakageWarning,
    check_leakage,
    held_out_hashes,
    shared_subjects,
)
from monai_genaug.quality.membership import (
    MembershipResult,
    membership_inference,
    membership_scores,
    reconstruction_scores,
)
from monai_genaug.quality.memorisation import (
    CopyShare,
    DistanceRatio,
    RankedReferences,
    copy_share,
    distance_ratio_test,
    rank_references,
)
from monai_genaug.quality.nearest import NearestItems, mirrored, nearest_items
from monai_genaug.quality.pixel_features import PixelThumbnails

__all__ = [
    "CovariateReport",
    "CovariateShare",
    "DuplicatePair",
    "DuplicateReport",
    "HeldOutHashes",
    "InstanceSelection",
    "LabelErrorReport",
    "LabelSuspicion",
    "LeakageError",
    "LeakageReport",
    "LeakageWarning",
    "check_leakage",
    "covariate_shift",
    "find_duplicates",
    "find_label_errors",
    "held_out_hashes",
    "select_instances",
    "shared_subjects",
    "audit",
    "AuditItems",
    "AuditCheck",
    "AuditReport",
    "AuditThresholds",
    "ClosePair",
    "closest_pairs_picture",
    "compress_centroids",
    "ClassifierCriterion",
    "MemorisationCriterion",
    "RealismCriterion",
    "SampleCriterion",
    "data_copying_score",
    "FilteredGenerator",
    "PoolFilter",
    "filter_pool",
    "MembershipResult",
    "membership_inference",
    "membership_scores",
    "reconstruction_scores",
    "CopyShare",
    "DistanceRatio",
    "RankedReferences",
    "copy_share",
    "distance_ratio_test",
    "rank_references",
    "NearestItems",
    "mirrored",
    "nearest_items",
    "PixelThumbnails",
]
