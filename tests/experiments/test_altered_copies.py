# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest
import torch

from monai_genaug.experiments.altered_copies import altered_distances, altered_section


def test_slight_alterations_are_near_and_moved_copies_are_not() -> None:
    blocks = np.random.default_rng(0).integers(0, 200, (20, 1, 7, 7), dtype=np.uint8)
    images = list(torch.from_numpy(blocks.repeat(4, axis=2).repeat(4, axis=3)))
    distances = altered_distances(images)
    assert all(len(values) == 20 for values in distances.values())
    for name in ("noise, sd 3 of 255", "contrast 85 %", "JPEG, quality 75"):
        assert distances[name].max() < 0.1
    assert distances["contrast 85 %"].max() < 0.01
    assert distances["JPEG, quality 75"].mean() < distances["JPEG, quality 30"].mean()
    assert distances["moved by one pixel"].min() > 0.2


def test_table_has_share_and_quantiles() -> None:
    distances = altered_distances([torch.arange(784, dtype=torch.uint8).reshape(1, 28, 28)])
    value = float(distances["gamma 1.2"])
    share = "100%" if value <= 0.1 else "0%"
    assert f"| gamma 1.2 | {share} ({value:.3f}, {value:.3f}) |" in altered_section({"one": distances})
    assert distances["gamma 1.2"][0] == pytest.approx(value)
