# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest
import torch

from monai_genaug.experiments.paired_baseline import paired_baselines, print_paired_baselines
from tests.class_pictures import write_class_pictures


def test_the_mean_image_beats_other_real_images_and_so_do_the_nearest() -> None:
    images = torch.rand(24, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    table = paired_baselines(images[:12], images[12:], ("psnr", "ssim"))
    others, mean, nearest = (table[name]["psnr"] for name in table)
    assert others < mean
    assert others < nearest


def test_the_table_of_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("piq", reason="three of the metrics are of piq: pip install monai-genaug[paired]")
    folder = write_class_pictures(tmp_path / "pictures", channels=3)
    print_paired_baselines(folder, size=24, count=5)
    head, _, *rows = capsys.readouterr().out.splitlines()
    assert head == "| in place of the generator | psnr | ssim | ms_gmsd | mdsi | haarpsi |"
    assert len(rows) == 3
    assert all(row.count("|") == 7 for row in rows)
    with pytest.raises(ValueError, match="has 14 pictures, needed: two sets of 8"):
        print_paired_baselines(folder, size=24, count=8)
