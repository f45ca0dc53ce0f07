# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import nibabel
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from monai_genaug.experiments.template_brain import SideReport, load_template, segment_template
from tests.toy import toy_generator

pytest.importorskip("nilearn")


class _Bright(nn.Module):
    """Labels what is brighter than a threshold, with the first half of the x axis told apart from the second."""

    def forward(self, images: Tensor) -> Tensor:
        bright = (images > 0.7).float()
        half = torch.arange(images.shape[2]).view(1, 1, -1, 1, 1) < images.shape[2] // 2
        return torch.cat([0.5 * torch.ones_like(images), bright * half, bright * ~half], dim=1)


def test_template_is_the_real_one_in_ras() -> None:
    template = load_template()
    assert template.shape == (197, 233, 189)
    assert nibabel.aff2axcodes(template.affine) == ("R", "A", "S")
    assert np.allclose(np.abs(np.diag(template.affine)[:3]), 1.0)


def test_labels_come_back_to_their_voxels_and_right_crops_are_mirrored() -> None:
    template = load_template()
    volume = np.asarray(template.dataobj, dtype=np.float32)
    generator = toy_generator(spatial_shape=(48, 64, 48))
    found, reports = segment_template(_Bright(), generator, template)
    assert [report.side for report in reports] == ["left", "right"]
    inverse = np.linalg.inv(template.affine)
    for sign in (-1.0, 1.0):
        centre = np.round(nibabel.affines.apply_affine(inverse, (sign * 26.0, -21.0, -14.0))).astype(int)
        box = tuple(slice(c - s // 2, c - s // 2 + s) for c, s in zip(centre, (36, 50, 36), strict=True))
        crop, labels = volume[box], found[box]
        low, high = np.percentile(crop, [0.5, 99.5])
        expected = (crop - low) / (high - low) > 0.7
        assert ((labels > 0) == expected).mean() > 0.999
        outer = labels[:18] if sign < 0 else labels[18:]  # mirrored: the lateral half is the first half on both sides
        assert set(np.unique(outer)) == {0, 1}
    assert (found > 0).sum() == sum((found[x] > 0).sum() for x in (slice(0, 98), slice(98, 197)))


@pytest.mark.parametrize(
    ("share", "volume", "distance", "passed"),
    [
        (0.95, 3.0, 4.0, True),
        (0.85, 3.0, 4.0, False),
        (0.95, 1.0, 4.0, False),
        (0.95, 7.0, 4.0, False),
        (1, 3, 9, False),
    ],
)
def test_limits(share: float, volume: float, distance: float, passed: bool) -> None:
    assert SideReport("left", share, volume, (0.0, 0.0, 0.0), distance).passed is passed


def test_nothing_found_fails() -> None:
    empty = nn.Conv3d(1, 3, 1)
    nn.init.zeros_(empty.weight)
    empty.bias.data = torch.tensor([1.0, 0.0, 0.0])
    found, reports = segment_template(empty, toy_generator(spatial_shape=(48, 64, 48)), load_template())
    assert found.sum() == 0
    assert not any(report.passed for report in reports)
