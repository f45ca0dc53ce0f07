# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Does an item fit the generator, and how a generated tensor takes an item's place: pure functions of tensors."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from monai.data import MetaTensor, get_track_meta
from monai.utils import convert_to_tensor
from torch import Tensor
from torch.nn import functional

from monai_genaug._help import docs_link
from monai_genaug.generators.encoder_input import RANGE_TOLERANCE
from monai_genaug.generators.geometry import axis_codes, voxel_sizes
from monai_genaug.generators.spec import GeneratorSpec, OutputSpec

__all__: list[str] = []

Item = dict[Hashable, Tensor]

_SPACING_TOLERANCE = 1e-3  # relative


def _present(keys: Sequence[Hashable], item: Mapping[Hashable, Any], allow_missing: bool) -> list[Hashable]:
    """Those of ``keys`` that an item, or a batch, has.

    Raises:
        KeyError: some are missing, unless ``allow_missing``; it names them and those that are there.
    """
    missing = [key for key in keys if key not in item]
    if missing and not allow_missing:
        raise KeyError(f"keys {missing} are not in the item, allowed: {list(item)}.")
    return [key for key in keys if key in item]


def _as_tensor(value: Any, key: Any) -> Tensor:
    """The item as MONAI's transforms return it: MetaTensor, or Tensor where ``track_meta`` is off.

    Raises:
        TypeError: not an array; the transform stands before the loading ones.
    """
    tensor = convert_to_tensor(value, track_meta=get_track_meta())
    if not isinstance(tensor, Tensor):
        raise TypeError(
            f"item {key!r} is a {type(value).__name__}, allowed: numpy array, Tensor, MetaTensor; "
            "place this transform after loading."
        )
    return tensor


def _check_shape(shape: tuple[int, ...], spec: GeneratorSpec, output: OutputSpec, key: Any, adapted: bool) -> None:
    """Channel first, the generator's number of axes, and its channels unless ``adapt`` changes them.

    Args:
        shape: of the item, ``(C, *spatial)``.
        spec: of the generator.
        output: that replaces the item.
        key: of the item.
        adapted: whether ``adapt`` was given.

    Raises:
        ValueError: it names both shapes.
    """
    own = (output.channels, *spec.spatial_shape)
    if len(shape) != len(own):
        raise ValueError(
            f"item {key!r} has shape {shape}, generator {spec.name!r} makes {own}: "
            f"channel first and {len(spec.spatial_shape)} spatial axes are needed."
        )
    if adapted:
        return
    if shape[0] != output.channels:
        raise ValueError(
            f"item {key!r} has {shape[0]} channels, generator {spec.name!r} makes {output.channels}; "
            "place this transform before one-hot encoding, or give adapt."
        )
    if (spec.spacing is None or spec.fitting == "resize") and shape[1:] != spec.spatial_shape:
        scale = "of whole images" if spec.fitting == "resize" else "without a voxel spacing"
        raise ValueError(
            f"item {key!r} has spatial shape {shape[1:]}, generator {spec.name!r} makes "
            f"{spec.spatial_shape} {scale}: resize the items, or, in mode 'sample', give adapt=Resized(...)."
        )


def _check_axes(item: Tensor, spec: GeneratorSpec, key: Any) -> None:
    """Voxels of the generator's size and directions, where both sides know theirs, for all affines of a batch.

    Of an identity affine, the sizes count as 1, and the directions as unknown: nobody set it.

    Raises:
        ValueError: it names both spacings, or both orientations. The sample would have another scale, or be a mirror
            image, in the item's axes.
    """
    if not isinstance(item, MetaTensor) or (spec.spacing is None and spec.orientation is None):
        return
    for spacing, codes in _voxel_axes(item, len(spec.spatial_shape)):
        if spec.spacing is not None and any(
            abs(a - b) > _SPACING_TOLERANCE * b for a, b in zip(spacing, spec.spacing, strict=True)
        ):
            raise ValueError(
                f"item {key!r} has voxel spacing {tuple(round(s, 4) for s in spacing)}, generator {spec.name!r} makes "
                f"{spec.spacing}: add Spacingd(pixdim={spec.spacing}) before this transform, or give adapt. See "
                f"{docs_link('how_to/matching_items', 'size-voxels-and-axes')}."
            )
        if spec.orientation is not None and codes not in (None, spec.orientation):
            raise ValueError(
                f"item {key!r} has voxel axes {codes}, generator {spec.name!r} makes {spec.orientation}: add "
                f"Orientationd(axcodes={spec.orientation!r}) before this transform (generator.preprocessing(keys) has "
                "it), place random flips and rotations after it, or give adapt."
            )


def _voxel_axes(item: MetaTensor, axes: int) -> Iterator[tuple[tuple[float, ...], str | None]]:
    """Sizes and directions of an item's voxels, or of every item's in a batch."""
    affines = np.asarray(torch.as_tensor(item.affine, dtype=torch.float64, device="cpu"))
    for affine in affines if affines.ndim == 3 else affines[None]:
        yield _sizes_and_codes(affine.tobytes(), len(affine), axes)


@lru_cache(maxsize=4096)
def _sizes_and_codes(affine: bytes, size: int, axes: int) -> tuple[tuple[float, ...], str | None]:
    """Voxel sizes and axis codes, None for the identity; remembered, since the items come again in every epoch."""
    matrix = torch.frombuffer(bytearray(affine), dtype=torch.float64).view(size, size)
    codes = None if torch.equal(matrix, torch.eye(size, dtype=torch.float64)) else axis_codes(matrix, axes)
    return tuple(voxel_sizes(matrix, axes)), codes


def _check_image(values: Tensor, spec: GeneratorSpec, output: OutputSpec, key: Any, adapted: bool) -> None:
    """No NaN, and intensities within the generator's range by 5 % of its width, unless ``adapt`` changes them.

    Args:
        values: of one item or a batch, of any shape.
        spec: of the generator.
        output: that replaces the item.
        key: of the item.
        adapted: whether ``adapt`` was given.

    Raises:
        ValueError: it names both ranges.
    """
    lowest, highest = torch.stack(torch.aminmax(values)).tolist()
    if not (abs(lowest) < float("inf") and abs(highest) < float("inf")):  # NaN fails every comparison
        raise ValueError(f"item {key!r} contains NaN or infinite values, allowed: finite intensities.")
    if adapted:
        return
    low, high = output.value_range
    margin = RANGE_TOLERANCE * (high - low)
    if lowest < low - margin or highest > high + margin:
        raise ValueError(
            f"item {key!r} has intensities from {lowest:.6g} to {highest:.6g}, generator {spec.name!r} makes "
            f"{low:g} to {high:g}: scale the items before this transform (generator.preprocessing(keys) does), or give "
            "adapt, for example adapt=NormalizeIntensityd(keys) where the chain normalises. See "
            f"{docs_link('how_to/matching_items', 'intensities')}."
        )


def _centred(source: Tensor, canvas: Tensor) -> Tensor:
    """A copy of ``canvas`` ``(C, ...)`` with ``source`` in its centre, cropped where it is larger."""
    result = canvas.clone()
    target, part = _overlap(source.shape[1:], canvas.shape[1:])
    result[(slice(None), *target)] = source[(slice(None), *part)].to(result)
    return result


def _extended(source: Tensor, spatial_shape: Sequence[int]) -> Tensor:
    """``source`` ``(C, ...)`` centred in another shape: cropped where it is larger, its border repeated elsewhere."""
    target, part = _overlap(source.shape[1:], spatial_shape)
    widths = [(into.start, size - into.stop) for into, size in zip(target, spatial_shape, strict=True)]
    flat = [width for pair in reversed(widths) for width in pair]
    return functional.pad(source[(slice(None), *part)][None].float(), flat, mode="replicate")[0]


def _overlap(source: Sequence[int], target: Sequence[int]) -> tuple[list[slice], list[slice]]:
    """Slices of target and source that lie on each other when both are centred."""
    into, out_of = [], []
    for a, b in zip(source, target, strict=True):
        size = min(a, b)
        into.append(slice((b - size) // 2, (b - size) // 2 + size))
        out_of.append(slice((a - size) // 2, (a - size) // 2 + size))
    return into, out_of


def _copied_like(sample: Tensor, item: Tensor) -> Tensor:
    """A copy of ``sample`` with dtype and device of ``item``, whole numbers where the item's are."""
    values = sample.as_subclass(Tensor).detach()
    if values.dtype.is_floating_point and not item.dtype.is_floating_point:
        values = values.round()
    copied: Tensor = values.to(item.device, item.dtype, copy=True, memory_format=torch.contiguous_format)
    return copied


def _with_meta_of(values: Tensor, item: Tensor) -> Tensor:
    """``values`` with type and meta data of ``item``."""
    if not isinstance(item, MetaTensor):
        return values
    described: Tensor = values.as_subclass(MetaTensor).copy_meta_from(item)
    return described
