# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest

from monai_genaug.experiments.bundle_leakage import bundle_leakage, leakage_section
from monai_genaug.quality import LeakageReport
from tests.small_data import small_copy


def test_every_bundle_of_a_set_is_checked(genaug_data: Path, tmp_path: Path) -> None:
    if not (genaug_data / "medmnist" / "breastmnist.npz").is_file():
        pytest.skip(f"{genaug_data} has no medmnist/breastmnist.npz")
    folder = small_copy(genaug_data, "BreastMNIST", tmp_path / "medmnist")
    reports = bundle_leakage(folder, progress=False)
    assert set(reports) == {"breast_us_cgan", "breast_us_cvae"}
    for train, val, test in reports.values():
        assert (train.items, val.items, test.items) == (tuple(range(24)), (), ())


def test_unknown_is_not_zero() -> None:
    table = leakage_section({"secret": [LeakageReport("secret", 3, None), LeakageReport("secret", 2, (1,))]})
    assert table.splitlines()[-1] == "| secret | unknown | 1 of 2 |"
