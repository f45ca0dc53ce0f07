# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Named chains of classical augmentation, as published with the studies that they were the baseline of."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from monai.config import KeysCollection
from monai.transforms import (
    Compose,
    NormalizeIntensityd,
    RandCoarseDropoutd,
    RandFlipd,
    RandGaussianNoised,
    RandRotate90d,
    ScaleIntensityRanged,
    Transform,
)
from monai.utils import ensure_tuple

from monai_genaug.transforms.classical.geometry import _RandViewd
from monai_genaug.transforms.classical.intensity import (
    _RandColourJitterd,
    _RandGreyscaled,
    _RandInvertd,
    _RandSharpnessd,
)
from monai_genaug.transforms.classical.unit_images import _UnitImaged

__all__ = ["CLASSICAL_RECIPES", "classical_recipe"]

Keys = tuple[str, ...]
_VERTICAL, _HORIZONTAL = 0, 1


def _medmnist_grey(keys: Keys, mask_keys: Keys) -> list[Transform]:
    return [
        _RandInvertd(keys, prob=0.5),
        _RandSharpnessd(keys, prob=0.5, factor=2.0),
        RandFlipd(keys + mask_keys, prob=0.5, spatial_axis=_HORIZONTAL),
    ]


def _medmnist_colour(keys: Keys, mask_keys: Keys) -> list[Transform]:
    return [
        _RandColourJitterd(keys, prob=1.0, brightness=0.5, hue=0.3),
        _RandViewd(keys, mask_keys, prob=1.0, rotate=math.pi, padding_mode="zeros"),
    ]


def _crop(keys: Keys, mask_keys: Keys) -> list[Transform]:
    share = 60 / 90
    return [_RandViewd(keys, mask_keys, prob=1.0, shift=(1 - share) / 2, field=(share, share))]


def _rotation(keys: Keys, mask_keys: Keys) -> list[Transform]:
    return [_RandViewd(keys, mask_keys, prob=1.0, rotate=0.1 * 2 * math.pi)]


def _flip(keys: Keys, mask_keys: Keys) -> list[Transform]:
    return [RandFlipd(keys + mask_keys, prob=0.5, spatial_axis=axis) for axis in (_HORIZONTAL, _VERTICAL)]


def _invert(keys: Keys, mask_keys: Keys) -> list[Transform]:
    return [_RandInvertd(keys, prob=0.5)]


def _noise(keys: Keys, mask_keys: Keys) -> list[Transform]:
    clip = ScaleIntensityRanged(keys, a_min=0.0, a_max=1.0, b_min=0.0, b_max=1.0, clip=True)
    return [RandGaussianNoised(keys, prob=0.5, std=0.1), clip]


def _greyscale(keys: Keys, mask_keys: Keys) -> list[Transform]:
    return [_RandGreyscaled(keys, prob=0.5)]


def _skin_lesion(keys: Keys, mask_keys: Keys) -> list[Transform]:
    return [
        RandRotate90d(keys + mask_keys, prob=0.5, max_k=1),
        *_flip(keys, mask_keys),
        _RandColourJitterd(keys, prob=0.5, contrast=0.2),
        RandCoarseDropoutd(keys, prob=0.5, holes=8, spatial_size=8, fill_value=0.0),
        _RandViewd(keys, mask_keys, prob=0.5, rotate=math.pi / 4, shift=0.0625, field=(1 / 1.1, 1 / 0.9)),
        _RandColourJitterd(keys, prob=1.0, brightness=0.3, contrast=0.3),
        _RandColourJitterd(keys, prob=0.5, brightness=20 / 255, saturation=0.3, hue=20 / 180),
    ]


_BUILDERS: dict[str, tuple[Callable[[Keys, Keys], list[Transform]], ...]] = {
    "medmnist_grey": (_medmnist_grey,),
    "medmnist_colour": (_medmnist_colour,),
    "histology_crop": (_crop,),
    "histology_rotation": (_rotation,),
    "histology_flip": (_flip,),
    "histology_invert": (_invert,),
    "histology_invert_flip": (_invert, _flip),
    "histology_invert_rotation": (_invert, _rotation),
    "histology_noise": (_noise,),
    "histology_greyscale": (_greyscale,),
    "skin_lesion": (_skin_lesion,),
}
_SQUARE = ("skin_lesion",)

CLASSICAL_RECIPES: tuple[str, ...] = tuple(_BUILDERS)
"""Names that :func:`classical_recipe` knows."""


def classical_recipe(
    name: str,
    keys: KeysCollection = ("image",),
    mask_keys: KeysCollection = (),
    normalize: tuple[float | Sequence[float], float | Sequence[float]] | None = None,
) -> Compose:
    """A chain of random transforms for 2D images, which keeps their shape; masks get its geometry only.

    * ``"medmnist_grey"``: invert, sharpness factor 2, horizontal flip, each with probability 1/2.
    * ``"medmnist_colour"``: brightness by a factor of 0.5 to 1.5, hue by up to 0.3 of the colour circle, rotation by up
      to 180 degrees with black around.
    * ``"histology_crop"``: 2/3 of height and width anywhere (60 of 90 pixels), resized back; ``"histology_rotation"``:
      up to a tenth of a turn, the image mirrored around; ``"histology_flip"``: both axes, each with probability 1/2;
      ``"histology_invert"``: with probability 1/2; and the pairs ``"histology_invert_flip"``,
      ``"histology_invert_rotation"``.
    * ``"histology_noise"``: Gaussian noise with a standard deviation up to 0.1, with probability 1/2;
      ``"histology_greyscale"``: without colour, with probability 1/2. That study proposes both without figures.
    * ``"skin_lesion"``: quarter turn and flips (all eight symmetries alike), contrast, 8 holes of 8 x 8 pixels, small
      shift, zoom and rotation, brightness with contrast, hue with saturation; in ranges like those that Albumentations
      has by default. For square images.

    Images are channel-first, grey or RGB, in [0, 1], and leave the chain as float32 in [0, 1] or normalised.

    Args:
        name: one of :data:`CLASSICAL_RECIPES`.
        keys: dictionary keys of the images of an item, which are all changed alike.
        mask_keys: of masks, whose values and types stay.
        normalize: mean and standard deviation, for all channels or one each: ends with ``(x - mean) / std``.

    Returns:
        A ``Compose``. An image that is not allowed is the cause (``ValueError``) of its ``RuntimeError``.

    Raises:
        ValueError: an unknown name (the known ones are listed), no or repeated keys, or a standard deviation that is
            not positive.
    """
    if name not in _BUILDERS:
        raise ValueError(f"recipe {name!r} is unknown, allowed: {CLASSICAL_RECIPES}.")
    images, masks = ensure_tuple(keys), ensure_tuple(mask_keys)
    if not images or len({*images, *masks}) < len(images + masks):
        raise ValueError(f"keys are {images}, mask_keys {masks}: at least one image, and no key twice.")
    steps: list[Transform] = [_UnitImaged(images, masks, square=name in _SQUARE)]
    for build in _BUILDERS[name]:
        steps += build(images, masks)
    if normalize is not None:
        steps.append(_normalisation(images, *normalize))
    return Compose(steps)


def _normalisation(keys: Keys, mean: float | Sequence[float], std: float | Sequence[float]) -> Transform:
    if not all(value > 0 for value in ensure_tuple(std)):
        raise ValueError(f"normalize has the standard deviation {std!r}, allowed: positive numbers.")
    per_channel = not isinstance(mean, (int, float)) or not isinstance(std, (int, float))
    if per_channel and len(ensure_tuple(mean)) != len(ensure_tuple(std)):
        raise ValueError(f"normalize has mean {mean!r} and standard deviation {std!r}: give one each per channel.")
    return NormalizeIntensityd(keys, subtrahend=mean, divisor=std, channel_wise=per_channel)
