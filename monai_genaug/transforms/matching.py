# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Does an item fit the generator, and how a generated tensor takes an item's place: pure functions of tensors."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import torch
from monai.data import MetaTensor, get_track_meta
from monai.utils import convert_to_tensor
from torch import Tensor
from torch.nn import functional

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


def _check_shape(item: Tensor, spec: GeneratorSpec, output: OutputSpec, key: Any, adapted: bool) -> None:
    """Channel first, the generator's number of axes, and its channels unless ``adapt`` changes them.

    Raises:
        ValueError: it names both shapes.
    """
    own = (output.channels, *spec.spatial_shape)
    if item.ndim != len(own):
        raise ValueError(
            f"item {key!r} has shape {tuple(item.shape)}, generator {spec.name!r} makes {own}: "
            f"channel first and {len(spec.spatial_shape)} spatial axes are needed."
        )
    if adapted:
        return
    if item.shape[0] != output.channels:
        raise ValueError(
            f"item {key!r} has {item.shape[0]} channels, generator {spec.name!r} makes {output.channels}; "
            "place this transform before one-hot encoding, or give adapt."
        )
    if (spec.spacing is None or spec.fitting == "resize") and tuple(item.shape[1:]) != spec.spatial_shape:
        scale = "of whole images" if spec.fitting == "resize" else "without a voxel spacing"
        raise ValueError(
            f"item {key!r} has spatial shape {tuple(item.shape[1:])}, generator {spec.name!r} makes "
            f"{spec.spatial_shape} {scale}: resize the items, or, in mode 'sample', give adapt=Resized(...)."
        )


def _check_spacing(item: Tensor, spec: GeneratorSpec, key: Any) -> None:
    """Equal voxel spacing, where both sides know theirs; an identity affine means 1.

    Raises:
        ValueError: it names both spacings.
    """
    if spec.spacing is None or not isinstance(item, MetaTensor):
        return
    spacing = voxel_sizes(_affine(item), len(spec.spacing))
    if any(abs(a - b) > _SPACING_TOLERANCE * b for a, b in zip(spacing, spec.spacing, strict=True)):
        raise ValueError(
            f"item {key!r} has voxel spacing {tuple(round(s, 4) for s in spacing)}, generator {spec.name!r} makes "
            f"{spec.spacing}: add Spacingd(pixdim={spec.spacing}) before this transform, or give adapt."
        )


def _check_orientation(item: Tensor, spec: GeneratorSpec, key: Any) -> None:
    """Equal directions of the voxel axes, where both sides know theirs; nobody set an identity affine.

    Raises:
        ValueError: it names both orientations. The sample would be a mirror image in the item's axes.
    """
    if spec.orientation is None or not isinstance(item, MetaTensor):
        return
    affine = _affine(item)
    if torch.equal(affine, torch.eye(len(affine)).to(affine)):
        return
    codes = axis_codes(affine, len(spec.spatial_shape))
    if codes != spec.orientation:
        raise ValueError(
            f"item {key!r} has voxel axes {codes}, generator {spec.name!r} makes {spec.orientation}: add "
            f"Orientationd(axcodes={spec.orientation!r}) before this transform (generator.preprocessing(keys) has it), "
            "place random flips and rotations after it, or give adapt."
        )


def _affine(item: MetaTensor) -> Tensor:
    affine: Tensor = item.affine
    return affine if affine.ndim == 2 else affine[0]


def _check_image(item: Tensor, spec: GeneratorSpec, output: OutputSpec, key: Any, adapted: bool) -> None:
    """No NaN, and intensities within the generator's range by 5 % of its width, unless ``adapt`` changes them.

    Raises:
        ValueError: it names both ranges.
    """
    lowest, highest = (float(v) for v in torch.aminmax(item.as_subclass(Tensor)))
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
            "adapt, for example adapt=NormalizeIntensityd(keys) where the chain normalises."
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


def _fitted(sample: Tensor, item: Tensor, fill: float, keep_outside: bool) -> Tensor:
    """``sample`` with shape, dtype, device, type and meta of ``item``.

    Args:
        sample: ``(C, *spatial)``.
        item: ``(C, *spatial)`` of the same number of axes.
        fill: value around a sample that is smaller than the item.
        keep_outside: leave the item's own values there instead.
    """
    plain = item.as_subclass(Tensor)
    values = sample.as_subclass(Tensor).detach().to(plain.device)
    if not plain.dtype.is_floating_point and values.dtype.is_floating_point:
        values = values.round()
    result = _centred(values, plain if keep_outside else torch.full_like(plain, fill))
    return MetaTensor(result).copy_meta_from(item) if isinstance(item, MetaTensor) else result
