# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""The MONAI chain that brings raw volumes into a generator's space."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection, PathLike
from monai.data import PILReader, is_supported_format
from monai.transforms import (
    Compose,
    EnsureTyped,
    LoadImaged,
    MapTransform,
    Orientationd,
    Resize,
    Resized,
    ResizeWithPadOrCropd,
    ScaleIntensityd,
    ScaleIntensityRanged,
    ScaleIntensityRangePercentilesd,
    Spacingd,
    Transform,
)
from monai.utils import convert_to_tensor, ensure_tuple

from monai_genaug.generators.spec import GeneratorSpec

__all__ = ["AXIS_LABELS", "preprocessing_for", "volume_loader"]

_PERCENTILES = (0.5, 99.5)
# Axes from negative to positive, as in nibabel; given explicitly so that no space in the meta data can change them.
AXIS_LABELS = (("L", "R"), ("P", "A"), ("I", "S"))


def preprocessing_for(
    spec: GeneratorSpec, keys: Sequence[str], load: bool = True, outputs: Sequence[str] | None = None
) -> Compose:
    """Builds the chain: orientation, spacing, intensity, shape (centred), type.

    Intensities are scaled before padding, so that padding is the lowest value and takes no part in the scaling.
    Pictures (PNG, JPEG, ...) are read rows first, ``(C, height, width)``, as arrays of them usually are. MONAI's cache
    datasets stop at a nested ``Compose``: inside a chain of yours write ``*preprocessing_for(...).transforms``.

    Args:
        spec: the generator's.
        keys: dictionary keys, parallel to ``outputs``.
        outputs: names of the outputs whose volumes are there; None: all, in the order of ``spec.outputs``.
        load: whether the values are paths; otherwise they are channel-first arrays or tensors, whose voxel axes and
            spacing are taken from ``MetaTensor`` where they have one.

    Returns:
        A deterministic transform of dictionaries: images float32 in ``value_range``, masks of the spec's type. It
        refuses volumes with NaN or infinite values and images without contrast by a ``ValueError`` that names the
        key, which ``Compose`` makes the cause of its own ``RuntimeError``.

    Raises:
        ValueError: as many keys as outputs are needed, or an output that the generator does not have.
    """
    keys = (keys,) if isinstance(keys, str) else tuple(keys)
    names = tuple(spec.outputs) if outputs is None else tuple(outputs)
    unknown = [name for name in names if name not in spec.outputs]
    if unknown:
        raise ValueError(f"output {unknown[0]!r} is unknown to {spec.name!r}, allowed: {tuple(spec.outputs)}.")
    if len(keys) != len(names):
        raise ValueError(f"keys {keys} must run parallel to the outputs {names} of {spec.name!r}.")
    chosen = [spec.outputs[name] for name in names]
    types = tuple(torch.float32 if output.kind == "image" else None for output in chosen)  # as the loader gives images
    steps: list[Transform] = [volume_loader(keys) if load else EnsureTyped(keys, dtype=types)]
    steps.append(_RequireFinited(keys))
    if spec.orientation is not None:
        steps.append(Orientationd(keys, axcodes=spec.orientation, labels=AXIS_LABELS))
    if spec.spacing is not None:
        modes = tuple("bilinear" if output.kind == "image" else "nearest" for output in chosen)
        steps.append(Spacingd(keys, pixdim=spec.spacing, mode=modes))
    for key, output in zip(keys, chosen, strict=True):
        pad: dict[str, Any] = {"mode": "constant", "value": 0.0}
        if output.kind == "image":
            pad = {"mode": "edge"} if spec.padding == "edge" else {"mode": "constant", "value": output.value_range[0]}
            steps += [_scale_intensity(spec, key, output.value_range), _RequireRanged(key, output.value_range)]
        if spec.fitting == "resize":
            is_image = output.kind == "image"
            by_nearest = Resized(key, spec.spatial_shape, mode="nearest")
            steps.append(_SmoothResized(key, spec.spatial_shape) if is_image else by_nearest)
        else:
            steps.append(ResizeWithPadOrCropd(key, spec.spatial_shape, **pad))
        steps.append(EnsureTyped(key, dtype=getattr(torch, output.dtype)))
    return Compose(steps)


def volume_loader(keys: Sequence[str]) -> LoadImaged:
    """MONAI's readers, and one for pictures."""
    loader = LoadImaged(keys, ensure_channel_first=True)
    loader.register(_PictureReader())
    return loader


class _PictureReader(PILReader):
    """MONAI's reader of pictures, but rows come first, TIFF files are known, and palettes are refused."""

    def __init__(self) -> None:
        super().__init__(reverse_indexing=False)

    def verify_suffix(self, filename: Sequence[PathLike] | PathLike) -> bool:
        return bool(super().verify_suffix(filename) or is_supported_format(filename, ["tif", "tiff"]))

    def get_data(self, img: Any) -> tuple[np.ndarray[Any, Any], dict[str, Any]]:
        for picture in ensure_tuple(img):
            if picture.mode == "P":
                raise ValueError("the picture holds indices into a palette: convert it to grey or RGB.")
        data: tuple[np.ndarray[Any, Any], dict[str, Any]] = super().get_data(img)
        return data


def _scale_intensity(spec: GeneratorSpec, key: str, value_range: tuple[float, float]) -> Transform:
    if spec.intensity == "percentiles":
        return ScaleIntensityRangePercentilesd(key, *_PERCENTILES, *value_range, clip=True)
    if spec.intensity == "minmax":
        return ScaleIntensityd(key, *value_range)
    assert spec.intensity_range is not None
    return ScaleIntensityRanged(key, *spec.intensity_range, *value_range, clip=True)


class _SmoothResized(Resized):
    """MONAI's resizing with anti-aliasing, without the dark frame that it gives an image that becomes smaller.

    MONAI smooths as if zeros surrounded the image. Divided by the same of an image of ones, what is left is the mean
    over the pixels that are there.
    """

    def __init__(self, key: str, spatial_shape: Sequence[int]) -> None:
        super().__init__(key, spatial_shape, mode="bilinear", anti_aliasing=True)
        self.of_ones = Resize(spatial_shape, mode="bilinear", anti_aliasing=True)

    def __call__(self, data: Mapping[Hashable, Any], lazy: bool | None = None) -> dict[Hashable, Any]:
        d: dict[Hashable, Any] = super().__call__(data, lazy)
        for key in self.key_iterator(d):
            ones = self.of_ones(torch.ones(1, *data[key].shape[1:]))
            d[key] = d[key] / convert_to_tensor(ones, track_meta=False)
        return d


class _RequireFinited(MapTransform):
    """Lets finite volumes through."""

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        for key in self.key_iterator(data):
            if not torch.as_tensor(data[key]).isfinite().all():
                raise ValueError(f"the volume under key {key!r} holds NaN or infinite values.")
        return dict(data)


class _RequireRanged(MapTransform):
    """Lets volumes within a range through; scaling leaves it only where there was no contrast to scale."""

    def __init__(self, keys: KeysCollection, value_range: tuple[float, float]) -> None:
        super().__init__(keys)
        self.value_range = value_range

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        low, high = self.value_range
        slack = 1e-5 * (high - low)
        for key in self.key_iterator(data):
            if data[key].min() < low - slack or data[key].max() > high + slack:
                raise ValueError(f"the volume under key {key!r} has no contrast between its low and high intensities.")
        return dict(data)
