# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Random turning, zooming and moving in fractions of the image's size, which MONAI counts in pixels."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

from monai.config import KeysCollection
from monai.data import get_track_meta
from monai.transforms import Affine, MapTransform, RandomizableTransform
from monai.utils import convert_to_tensor
from torch import Tensor

__all__: list[str] = []


class _RandViewd(RandomizableTransform, MapTransform):
    """Shows a turned, smaller or larger, moved part of images in [0, 1] and of their masks, in the same shape.

    Args:
        keys: of images, interpolated linearly.
        mask_keys: of masks, whose values and type stay.
        prob: probability that an item is changed.
        rotate: largest angle, in radians, to both sides.
        shift: largest move of the centre, as a share of height and of width, to both sides.
        field: smallest and largest share of height and width that is shown.
        padding_mode: what surrounds the image, ``"zeros"`` or ``"reflection"``.
    """

    def __init__(
        self,
        keys: KeysCollection,
        mask_keys: KeysCollection,
        prob: float,
        rotate: float = 0.0,
        shift: float = 0.0,
        field: tuple[float, float] = (1.0, 1.0),
        padding_mode: str = "reflection",
    ) -> None:
        MapTransform.__init__(self, keys)
        RandomizableTransform.__init__(self, prob)
        self.mask_keys = mask_keys
        self.rotate, self.shift, self.field = rotate, shift, field
        self.padding_mode = padding_mode
        self._angle, self._share = 0.0, 1.0
        self._moves: tuple[float, ...] = (0.0, 0.0)

    def randomize(self, data: Any = None) -> None:
        """Draws the coin, the angle, the field and the two moves, whatever the coin says."""
        super().randomize(None)
        self._angle = float(self.R.uniform(-self.rotate, self.rotate))
        self._share = float(self.R.uniform(*self.field))
        self._moves = tuple(float(move) for move in self.R.uniform(-self.shift, self.shift, size=2))

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        d = dict(data)
        self.randomize(None)
        if self._do_transform:
            for key in self.key_iterator(d):
                d[key] = self._view(d[key], "bilinear").clamp(0.0, 1.0)
            for key in self.mask_keys:
                d[key] = self._view(d[key], "nearest").to(d[key].dtype)
        return d

    def _view(self, value: Tensor, mode: str) -> Tensor:
        affine = Affine(
            rotate_params=self._angle,
            translate_params=[move * size for move, size in zip(self._moves, value.shape[1:], strict=True)],
            scale_params=(self._share, self._share),
            mode=mode,
            padding_mode=self.padding_mode,
            image_only=True,
        )
        result: Tensor = affine(convert_to_tensor(value, track_meta=get_track_meta()))
        return result
