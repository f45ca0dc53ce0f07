# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from itertools import permutations, product

import pytest
import torch

from monai_genaug.generators.geometry import axis_codes, voxel_affine, voxel_sizes
from tests.toy import toy_spec

ORIENTATIONS = ["".join(codes) for axes in permutations(("RL", "AP", "SI")) for codes in product(*axes)]


@pytest.mark.parametrize("axes", [2, 3])
def test_affines_hold_every_orientation_and_spacing(axes: int) -> None:
    spacing = (2.0, 1.0, 0.5)[:axes]
    for orientation in {codes[:axes] for codes in ORIENTATIONS}:
        affine = voxel_affine(toy_spec((8,) * axes, spacing=spacing, orientation=orientation))
        assert affine is not None
        assert axis_codes(affine, axes) == orientation
        assert voxel_sizes(affine, axes) == list(spacing)
        assert torch.linalg.det(affine) != 0


def test_without_spacing_there_is_no_affine() -> None:
    assert voxel_affine(toy_spec(spacing=None)) is None


def test_without_orientation_axes_are_right_anterior_superior() -> None:
    affine = voxel_affine(toy_spec(orientation=None))
    assert affine is not None
    assert torch.equal(affine, torch.eye(4, dtype=torch.float64))


def test_oblique_axes_count_as_the_nearest() -> None:
    affine = torch.eye(4, dtype=torch.float64)
    affine[:2, :2] = torch.tensor([[0.28, -0.96], [0.96, 0.28]])
    assert axis_codes(affine, 3) == "ALS"
