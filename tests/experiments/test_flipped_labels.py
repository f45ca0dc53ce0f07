# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

from monai_genaug.experiments.flipped_labels import find_flipped_labels, flipped_section


def test_flipped_labels_of_separate_classes_are_found() -> None:
    rng = np.random.default_rng(0)
    items = [
        {"image": (rng.random((1, 28, 28)) * 100 + 120 * (k % 2)).astype(np.uint8), "label": k % 2} for k in range(200)
    ]
    result = find_flipped_labels("bright and dark", items)
    assert (result.items, result.flipped) == (200, 10)
    assert result.found == result.reported >= 8
    assert result.error_rate == pytest.approx(0.05, abs=0.02)
    assert result.error_rate_before == 0
    assert [item["label"] for item in items] == [0, 1] * 100
    row = flipped_section([result]).splitlines()[-1]
    assert row.startswith(f"| bright and dark | logistic | 200 | 10 | {result.reported} | 1.00 |")
