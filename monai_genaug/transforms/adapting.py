# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""The user's transform between the generator's space and that of the items."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from monai.data import MetaTensor, get_track_meta
from monai.transforms import Compose, RandomizableTrait

from monai_genaug.generators.geometry import voxel_affine
from monai_genaug.generators.spec import GeneratorSpec
from monai_genaug.transforms.matching import Item, _as_tensor

__all__: list[str] = []


def _adapted(adapt: Callable[[Any], Any], sample: Item, item: Item, spec: GeneratorSpec) -> Item:
    """``adapt`` applied to one generated sample, with the generator's affine where meta data are tracked.

    Raises:
        ValueError: the result has other keys, channels or axes than the item, or another size where samples stand for
            whole images and cannot be padded.
    """
    if get_track_meta():
        affine = voxel_affine(spec)
        sample = {key: MetaTensor(value.cpu(), affine=affine) for key, value in sample.items()}
    result = adapt(dict(sample))
    missing = [key for key in sample if key not in result]
    if missing:
        raise ValueError(f"adapt returned the keys {list(result)}, {missing} are missing.")
    tensors = {key: _as_tensor(result[key], key) for key in sample}
    for key, tensor in tensors.items():
        if tensor.ndim != item[key].ndim or tensor.shape[0] != item[key].shape[0]:
            raise ValueError(
                f"adapt made shape {tuple(tensor.shape)} for {key!r}, but the item has {tuple(item[key].shape)}: "
                "channels and number of axes must agree."
            )
        if spec.fitting == "resize" and tensor.shape != item[key].shape:
            raise ValueError(
                f"adapt made shape {tuple(tensor.shape)} for {key!r}, but the item has {tuple(item[key].shape)}, and "
                f"generator {spec.name!r} makes whole images: add Resized(...) to adapt."
            )
    return tensors


def _check_adapt(adapt: Callable[[Any], Any] | None) -> None:
    if adapt is None:
        return
    if not callable(adapt):
        raise TypeError(f"adapt is {adapt!r}, allowed: a MONAI dictionary transform, or None.")
    parts = adapt.flatten().transforms if isinstance(adapt, Compose) else (adapt,)
    random = [type(part).__name__ for part in parts if isinstance(part, RandomizableTrait)]
    if random:
        raise ValueError(f"adapt contains the random transforms {random}, allowed: deterministic ones.")


def _adapt_array(adapt: Callable[[Any], Any], sample: Item) -> Item:
    return {key: adapt(value) for key, value in sample.items()}
