# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
from pathlib import Path

import pytest
from matplotlib.image import imread

from monai_genaug.experiments.demo import run_demo

pytest.importorskip("nilearn")


def test_demo_writes_its_report_and_an_untrained_network_does_not_pass(tmp_path: Path) -> None:
    report = run_demo(tmp_path / "out", steps=1, n_synthetic=3, arms=[("real", False)])
    text = report.read_text()
    assert report == tmp_path / "out" / "report.md"
    for picture in ("samples.png", "chain.png", "template.png"):
        assert f"({picture})" in text
        assert imread(report.parent / picture).std() > 0.02
    assert text.count("| FAIL |") == 2
    assert "average of 152 brains" in text
    has_real = bool(os.environ.get("GENAUG_DATA")) and Path(os.environ["GENAUG_DATA"], "Task04_Hippocampus").is_dir()
    assert ("| real | no |" in text) == has_real
    assert ("set `GENAUG_DATA`" in text) != has_real
