# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Voxel axes of a generator's samples in the world, as affine matrices."""

from __future__ import annotations

import torch
from nibabel.orientations import aff2axcodes, axcodes2ornt
from torch import Tensor

from monai_genaug.generators.spec import GeneratorSpec

__all__ = ["axis_codes", "voxel_affine", "voxel_sizes"]


def voxel_affine(spec: GeneratorSpec) -> Tensor | None:
    """Voxel -> mm (RAS), 4x4 in float64, from spacing and orientation; None where the spacing has no meaning."""
    if spec.spacing is None:
        return None
    codes = axcodes2ornt(spec.orientation or "RAS"[: len(spec.spacing)])
    unused = [world for world in range(3) if world not in codes[:, 0]]
    axes = [*codes.tolist(), *([world, 1.0] for world in unused)]
    sizes = [*spec.spacing, *[1.0] * len(unused)]
    affine = torch.zeros(4, 4, dtype=torch.float64)
    for axis, ((world, sign), size) in enumerate(zip(axes, sizes, strict=True)):
        affine[int(world), axis] = sign * size
    affine[3, 3] = 1.0
    return affine


def voxel_sizes(affine: Tensor, axes: int) -> list[float]:
    """Size of a voxel in mm along the first voxel axes, whatever plane of the world they span."""
    sizes: list[float] = affine[:-1, :-1].double().norm(dim=0)[:axes].tolist()
    return sizes


def axis_codes(affine: Tensor, axes: int) -> str:
    """Where the first voxel axes point to, such as ``"RAS"``; of an oblique affine, the nearest directions."""
    codes = aff2axcodes(affine.detach().cpu().numpy())
    return "".join(code or "?" for code in codes[:axes])
