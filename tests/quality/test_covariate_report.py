# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from monai_genaug.quality.covariate_report import CovariateReport, CovariateShare


def report(low: float, high: float, accuracy: float = 0.9) -> CovariateReport:
    shares = (
        CovariateShare("A", 0.5, 0.6, 0.55, 0.9, low, high),
        CovariateShare("B", 0.5, 0.4, 0.45, 0.9, -high, -low),
    )
    return CovariateReport(shares, 0.1, (0.0, 0.2), 0.3, 0.05, accuracy)


@pytest.mark.parametrize(
    ("low", "high", "accuracy", "verdict"),
    [
        (-0.1, 0.2, 0.9, "no difference found"),
        (0.04, 0.2, 0.9, "no difference found"),
        (0.06, 0.2, 0.9, "differs"),
        (-0.2, -0.06, 0.9, "differs"),
        (-0.1, 0.2, 0.62, "undecided"),
        (0.06, 0.2, 0.62, "differs"),
    ],
)
def test_verdict(low: float, high: float, accuracy: float, verdict: str) -> None:
    found = report(low, high, accuracy)
    assert found.verdict == verdict
    assert found.passes == (verdict == "no difference found")
    assert found.to_dict()["verdict"] == verdict


def test_table() -> None:
    assert "| A | 0.500 | 0.600 | [-0.100, +0.200] | 0.550 | 0.900 |" in report(-0.1, 0.2).table()
