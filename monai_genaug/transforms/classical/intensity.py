# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Random changes of brightness and colour that MONAI does not have, on images in [0, 1] with one or three channels."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Hashable, Mapping
from typing import Any

from monai.config import KeysCollection
from monai.transforms import MapTransform, RandomizableTransform
from monai.utils import convert_to_dst_type, convert_to_tensor
from torch import Tensor
from torchvision.transforms import functional

__all__: list[str] = []


class _RandIntensityd(RandomizableTransform, MapTransform):
    """Changes all images of an item, with probability ``prob``, in the same way."""

    def __init__(self, keys: KeysCollection, prob: float) -> None:
        MapTransform.__init__(self, keys)
        RandomizableTransform.__init__(self, prob)

    @abstractmethod
    def _changed(self, image: Tensor) -> Tensor:
        """The changed image, in [0, 1]."""

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        d = dict(data)
        self.randomize(None)
        if self._do_transform:
            for key in self.key_iterator(d):
                changed = self._changed(convert_to_tensor(d[key], track_meta=False))
                d[key] = convert_to_dst_type(changed, dst=d[key])[0]
        return d


class _RandInvertd(_RandIntensityd):
    """The negative, 1 - x."""

    def _changed(self, image: Tensor) -> Tensor:
        return 1.0 - image


class _RandGreyscaled(_RandIntensityd):
    """The luminance, in all channels."""

    def _changed(self, image: Tensor) -> Tensor:
        grey: Tensor = functional.rgb_to_grayscale(image, num_output_channels=image.shape[0])
        return grey.contiguous()  # its channels are one piece of memory, which a change in place would change thrice


class _RandSharpnessd(_RandIntensityd):
    """Blends with a smoothed image: 0 is that one, 1 the image, 2 as far beyond."""

    def __init__(self, keys: KeysCollection, prob: float, factor: float) -> None:
        super().__init__(keys, prob)
        self.factor = factor

    def _changed(self, image: Tensor) -> Tensor:
        sharpened: Tensor = functional.adjust_sharpness(image, self.factor)
        return sharpened


class _RandColourJitterd(_RandIntensityd):
    """Brightness, contrast, saturation and hue, in random order.

    The first three are multiplied by a factor from [1 - v, 1 + v], the hue is turned by a share of the colour circle
    from [-v, v]; a grey image has neither saturation nor hue.
    """

    def __init__(
        self,
        keys: KeysCollection,
        prob: float,
        brightness: float = 0.0,
        contrast: float = 0.0,
        saturation: float = 0.0,
        hue: float = 0.0,
    ) -> None:
        super().__init__(keys, prob)
        self.limits = {"brightness": brightness, "contrast": contrast, "saturation": saturation, "hue": hue}
        self._steps: list[tuple[str, float]] = []

    def randomize(self, data: Any = None) -> None:
        """Draws the coin, the order and the four amounts, whatever the coin says."""
        super().randomize(None)
        order = self.R.permutation(len(self.limits))
        amounts = [(name, float(self.R.uniform(-limit, limit))) for name, limit in self.limits.items()]
        self._steps = [amounts[place] for place in order]

    def _changed(self, image: Tensor) -> Tensor:
        for name, amount in self._steps:
            if self.limits[name]:
                adjust = getattr(functional, f"adjust_{name}")
                image = adjust(image, amount if name == "hue" else 1.0 + amount)
        return image
