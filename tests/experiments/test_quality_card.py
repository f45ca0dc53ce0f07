# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import dataclasses

from monai_genaug.experiments.image_quality import ClassQuality, ImageQuality, SetQuality
from monai_genaug.experiments.quality_card import quality_section, quality_warnings

GOOD = ClassQuality("normal", 1214, 234, 0.8, 0.9, 0.87, 0.5, 0.7, 0.9)
BAD = ClassQuality("pneumonia", 3494, 390, 0.96, 0.4, 0.357, 0.5, None, None)
WHOLE = SetQuality(624, 620, 0.75, 0.9, 1.1, 0.95, 4.25, 3.5, 0.06, 0.08)
QUALITY = ImageQuality("chest", "0" * 64, 4708, 524, 624, 1500, (GOOD, BAD), WHOLE)
FINE = dataclasses.replace(QUALITY, classes=(GOOD,))


def test_tables_of_classes_and_of_the_whole() -> None:
    text = quality_section(QUALITY)
    assert "Real images: 4708 for training, 524 for validation, 624 for the test." in text
    assert "1500 steps" in text
    assert "| normal | 1214 | 234 | 0.800 | 0.900 [0.870] | 1.125 | 0.700 | 0.900 | passes |" in text
    assert "| pneumonia | 3494 | 390 | 0.960 | 0.400 [0.357] | 0.417 | - | - | FAILS |" in text
    assert "| coverage of test images (higher) | 0.750 | 0.900 |" in text
    assert "| Frechet distance to test images (lower) | 4.250 | 3.500 |" in text
    assert "samples 0.060, real test images 0.080, ratio 0.750" in text
    assert "above guessing (0.500)" in text
    assert "**Conditionality: FAILS**" in text
    assert "**Coverage: passes**" in text
    columns = {line.count("|") for line in text.splitlines() if line.startswith("|")}
    assert columns == {10, 4}


def test_without_classes_there_is_no_table_of_them() -> None:
    text = quality_section(dataclasses.replace(QUALITY, classes=(), judge_steps=0))
    assert "onditionality" not in text
    assert "recognised" not in text
    assert "random weights" in text
    assert "**Coverage: passes**" in text


def test_warnings_name_the_class_and_the_shares() -> None:
    assert quality_warnings(FINE) == ()
    assert quality_warnings(QUALITY) == (
        "A classifier of real images recognises 40% of the synthetic images of class 'pneumonia', of the real ones "
        "96%.",
    )
    narrow = dataclasses.replace(FINE, whole=dataclasses.replace(WHOLE, coverage=0.12))
    assert quality_warnings(narrow) == (
        "The samples cover 12% of the real test images; equally many real training images cover 90%.",
    )
