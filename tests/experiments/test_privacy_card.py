# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import dataclasses

import pytest

from monai_genaug.experiments.bundle_privacy import BundlePrivacy, SeedVerdict
from monai_genaug.experiments.privacy_card import privacy_section, privacy_warnings
from tests.experiments.card_figures import FAILING, LEAKING_WEIGHTS, LIMITS, PASSING, audit_report, check

NAMES = [field.name for field in dataclasses.fields(LIMITS) if field.name != "significance"]


def test_a_row_per_check_and_the_verdict() -> None:
    text = privacy_section(BundlePrivacy(PASSING))
    assert "500 samples, 540 training items against 180" in text
    assert "54 more" in text
    assert "| exact copies | 0.000 [-0.010, 0.020] | 0.001 | passes |" in text
    assert "| membership inference from samples | 0.001 [-0.009, 0.021] | 0.05 | passes |" in text
    assert "malignant" not in text
    assert "**Privacy: passes**" in text
    assert "Samples alone: passes." in text
    assert "confidential" not in text
    assert privacy_warnings(BundlePrivacy(PASSING)) == ()


def test_classes_that_fail_have_rows_and_each_failing_check_a_sentence() -> None:
    text = privacy_section(BundlePrivacy(FAILING))
    assert "| membership inference from samples | 0.300 [0.290, 0.320] | 0.05 | FAILS |" in text
    assert "| membership inference from samples (malignant) | 0.400 [0.390, 0.420] | 0.05 | FAILS |" in text
    assert "| membership inference by the encoder | 0.001 [-0.009, 0.021] | 0.1 | passes |" in text
    assert "| membership inference by the encoder (normal) | 0.250 " in text
    assert "samples (normal)" not in text  # above the limit, but by chance
    assert "**Privacy: FAILS**" in text
    assert "Samples alone: FAILS." in text
    assert text.count("\n- ") == 2
    assert privacy_warnings(BundlePrivacy(FAILING)) == (
        "The privacy audit fails (membership inference from samples, membership inference by the encoder): treat "
        "samples as confidential as the training images.",
    )


def test_weights_alone_may_fail() -> None:
    text = privacy_section(BundlePrivacy(LEAKING_WEIGHTS))
    assert "Samples alone: passes." in text
    assert text.endswith("otherwise the weights are as confidential as the images.")
    assert privacy_section(BundlePrivacy(FAILING)).endswith("samples and weights are as confidential as the images.")
    assert privacy_warnings(BundlePrivacy(LEAKING_WEIGHTS)) == (
        "The privacy audit fails (decoded latent codes in the weights): samples alone pass.",
    )


@pytest.mark.parametrize("name", NAMES)
def test_every_check_has_a_text(name: str) -> None:
    report = audit_report(check(name, effect=0.99, p_value=0.0))
    assert "FAILS" in privacy_section(BundlePrivacy(report))
    assert len(privacy_warnings(BundlePrivacy(report))) == 1


def test_beside_validation_alone() -> None:
    passing = audit_report(check("membership", effect=0.01), check("membership", "malignant", effect=0.02))
    text = privacy_section(BundlePrivacy(FAILING, passing))
    row = "| membership inference from samples (malignant) | 0.400 [0.390, 0.420] | 0.05 | FAILS | "
    assert f"{row}0.020 [0.010, 0.040], passes |" in text
    assert "by the encoder | 0.001 [-0.009, 0.021] | 0.1 | passes | - |" in text
    assert {line.count("|") for line in text.splitlines() if line.startswith("|")} == {6}
    assert "Beside the 180 items of the validation part alone every check passes." in text
    assert "\n- " not in text
    (warning,) = privacy_warnings(BundlePrivacy(FAILING, passing))
    assert warning.endswith(": beside the validation part alone it passes, the test part may be of another origin.")
    both = BundlePrivacy(FAILING, FAILING)
    assert "another origin" not in privacy_section(both)
    assert privacy_warnings(both) == privacy_warnings(BundlePrivacy(FAILING))


def test_other_samples_are_counted() -> None:
    assert SeedVerdict(1, (("centroids", "all"),)).samples_ok
    assert not SeedVerdict(1, (("copies", "all"),)).samples_ok
    same = BundlePrivacy(PASSING, repeats=(SeedVerdict(1), SeedVerdict(2)))
    assert privacy_section(same).endswith(
        "Samples alone: passes. Checks that fail with other samples (seeds 1 to 2), and how often: none."
    )
    assert privacy_warnings(same) == ()
    failing = (("membership", "malignant"), ("reconstruction", "all"))
    near = BundlePrivacy(PASSING, repeats=(SeedVerdict(1), SeedVerdict(2, failing[1:]), SeedVerdict(3, failing)))
    text = privacy_section(near)
    assert "**Privacy: passes with 2 of 4 sets of samples**" in text
    assert "Samples alone: passes with 3 of 4 sets of samples." in text
    assert "how often: membership inference by the encoder 2, membership inference from samples (malignant) 1." in text
    assert text.count("\n- ") == 2
    (warning,) = privacy_warnings(near)
    assert warning == (
        "The privacy audit fails with 2 of 4 sets of samples (membership inference by the encoder, membership "
        "inference from samples): treat samples as confidential as the training images."
    )
