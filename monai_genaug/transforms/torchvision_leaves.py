# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Images and masks as torchvision's samples hold them <-> the tensors that samples of a generator are fitted to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import PIL.Image
import torch
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms.v2 import functional

from monai_genaug.generators.encoder_input import RANGE_TOLERANCE

__all__: list[str] = []

_PIL_MODES = ("L", "RGB")
_LEVELS = 255


def _is_image(leaf: Any) -> bool:
    return isinstance(leaf, (tv_tensors.Image, PIL.Image.Image))


def _is_plain_tensor(leaf: Any) -> bool:
    return isinstance(leaf, Tensor) and not isinstance(leaf, tv_tensors.TVTensor)


def _unit_image(image: Any, check_range: bool) -> Tensor:
    """An image or a batch of them as float32: 0 to 255 of 8-bit ones becomes 0 to 1, floats stay.

    Args:
        image: PIL image, or tensor ``(C, H, W)`` or ``(n, C, H, W)``.
        check_range: whether floats must lie in [0, 1].

    Raises:
        ValueError: another mode, type or number of axes, or floats that are no colours (normalised already).
    """
    if isinstance(image, PIL.Image.Image):
        if image.mode not in _PIL_MODES:
            raise ValueError(f"the image has mode {image.mode!r}, allowed: {_PIL_MODES}; convert it first.")
        image = functional.pil_to_tensor(image)
    values: Tensor = image.as_subclass(Tensor)
    if values.ndim not in (3, 4):
        raise ValueError(f"the image has shape {tuple(values.shape)}, allowed: (C, H, W) and batches (n, C, H, W).")
    if values.dtype == torch.uint8:
        return values.float() / _LEVELS
    if not values.is_floating_point():
        raise ValueError(f"the image is {values.dtype}, allowed: torch.uint8, or floats in [0, 1].")
    if check_range:
        lowest, highest = torch.stack(torch.aminmax(values)).tolist()
        if not (lowest >= -RANGE_TOLERANCE and highest <= 1.0 + RANGE_TOLERANCE):  # false for NaN, too
            raise ValueError(
                f"the image has values from {lowest:.4g} to {highest:.4g}, allowed: torch.uint8, or floats in [0, 1]: "
                "place this transform before v2.Normalize, or give adapt."
            )
    return values.float()


def _image_like(values: Tensor, image: Any) -> Any:
    """Values as the inverse of :func:`_unit_image` gives them: type, mode, dtype and device of ``image``."""
    if isinstance(image, PIL.Image.Image):
        return functional.to_pil_image(_levels(values).cpu(), mode=image.mode)
    values = (_levels(values) if image.dtype == torch.uint8 else values).to(image.device, image.dtype)
    return tv_tensors.wrap(values, like=image) if isinstance(image, tv_tensors.TVTensor) else values


def _levels(values: Tensor) -> Tensor:
    return (values * _LEVELS).round().clamp(0, _LEVELS).to(torch.uint8)


def _channel_mask(mask: Tensor, spatial_axes: int) -> Tensor:
    """A mask, or a batch of them, with an axis for its channel: torchvision's masks may do without."""
    plain = mask.as_subclass(Tensor)
    return plain.unsqueeze(-3) if plain.ndim == spatial_axes else plain


def _mask_like(values: Tensor, mask: Tensor) -> Tensor:
    """Values with shape, type, dtype and device of ``mask``."""
    wrapped: Tensor = tv_tensors.wrap(values.to(mask.device, mask.dtype).reshape(mask.shape), like=mask)
    return wrapped


def _adapt_units(adapt: Any, ranges: Mapping[str, tuple[float, float] | None], sample: Mapping[str, Tensor]) -> Any:
    """A transform of torchvision applied to a generated sample: images in [0, 1], masks as such.

    Args:
        adapt: the transform.
        ranges: output name -> value range of an image, None of a mask.
        sample: output name -> ``(C, H, W)``.
    """
    wrapped: dict[str, Tensor] = {}
    for name, values in sample.items():
        plain, ends = values.as_subclass(Tensor), ranges[name]
        wrapped[name] = (
            tv_tensors.Mask(plain) if ends is None else tv_tensors.Image((plain - ends[0]) / (ends[1] - ends[0]))
        )
    made = adapt(wrapped)
    return {name: made[name].as_subclass(Tensor) for name in sample if name in made}


def _usual_labels(sample: Any) -> Any:
    """Where samples have their labels: the second item of a tuple, or what is called so in a dictionary."""
    found = sample if isinstance(sample, Mapping) else None
    if isinstance(sample, (tuple, list)) and len(sample) > 1:
        found = sample[1]
    if isinstance(found, Mapping):
        names = [name for name in found if isinstance(name, str) and "label" in name.lower()]
        names.sort(key=lambda name: name.lower() != "labels")  # that one first
        found = found[names[0]] if names else None
    if found is None or isinstance(found, (tv_tensors.TVTensor, PIL.Image.Image)):
        raise ValueError(
            "the sample has no label where samples usually have it (second of a tuple, or a key like 'labels'): give "
            "labels_getter, a function of the sample."
        )
    return found
