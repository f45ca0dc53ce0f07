# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from sklearn.metrics import roc_auc_score

from monai_genaug.experiments.audit_trials import separation


def test_separation_is_the_area_under_the_roc_curve() -> None:
    honest, copying = [0.1, 0.4, 0.4, 0.9], [0.4, 0.8, 1.5]
    assert separation(honest, copying) == roc_auc_score([0] * 4 + [1] * 3, honest + copying)
    assert separation([1.0], [1.0]) == 0.5
