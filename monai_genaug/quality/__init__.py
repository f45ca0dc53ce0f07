# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""What to know before samples are used: leaks, duplicates, doubtful items, and what a generator leaves out."""

from __future__ import annotations

from monai_genaug.quality.covariate import covariate_shift
from monai_genaug.quality.covariate_report import CovariateReport, CovariateShare
from monai_genaug.quality.duplicate_report import DuplicatePair, DuplicateReport
from monai_genaug.quality.duplicates import find_duplicates
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
]
