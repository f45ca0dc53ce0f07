# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import dataclasses

from monai_genaug.experiments.feature_card import feature_section
from tests.experiments.card_figures import FEATURES


def test_two_rows_per_scope() -> None:
    text = feature_section(FEATURES)
    assert "### Samples beside real images, in medical features" in text
    assert (
        "| class | images, of each | Frechet (lower) | KID (lower) | precision | recall | density | coverage |" in text
    )
    assert "| all, synthetic | 156 | 0.500 | 1.500 | 2.500 | 3.500 | 4.500 | 5.500 | 6.5 |" in text
    assert "| all, real training | 156 | 10.250 |" in text
    assert "| malignant, real training | 42 | 30.000 |" in text
    assert {line.count("|") for line in text.splitlines() if line.startswith("|")} == {10}


def test_without_classes_and_with_other_features() -> None:
    text = feature_section(dataclasses.replace(FEATURES, extractor="mine", rows=FEATURES.rows[:2]))
    assert "| images | images, of each |" in text
    assert "features 'mine'" in text
