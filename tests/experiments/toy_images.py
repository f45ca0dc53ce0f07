# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Small images of two classes, vertical and horizontal bars, and generators of them."""

from __future__ import annotations

import torch
from torch import Tensor

from monai_genaug.experiments.real_parts import LabelledImages, RealParts, as_levels
from monai_genaug.generators import GeneratorSpec, OutputSpec, SampleGenerator, derive_seed

CLASSES = {0: "vertical", 1: "horizontal"}
SIZE = 16


def bar(seed: int, horizontal: bool) -> Tensor:
    """One grey image ``(1, 16, 16)`` in [0, 1]; place, width, brightness and noise follow from the seed."""
    rng = torch.Generator().manual_seed(seed % 2**32)
    image = 0.3 + 0.05 * torch.randn(1, SIZE, SIZE, generator=rng)
    start, width = (int(torch.randint(low, high, (1,), generator=rng)) for low, high in ((2, 11), (1, 4)))
    image[:, :, start : start + width] += 0.2 + 0.3 * torch.rand(1, generator=rng)
    return (image.mT if horizontal else image).clamp(0, 1)


def part(name: str, counts: tuple[int, int]) -> LabelledImages:
    """Bars of both classes; other names give other images."""
    labels = torch.tensor([0] * counts[0] + [1] * counts[1])
    images = [bar(derive_seed(name, i), bool(label)) for i, label in enumerate(labels.tolist())]
    return LabelledImages(as_levels(torch.stack(images), (0.0, 1.0)), labels)


def parts() -> RealParts:
    """150 + 50 images for training, 20 + 20 for validation, 60 + 30 for the test."""
    return RealParts(part("train", (150, 50)), part("val", (20, 20)), part("test", (60, 30)))


def unlabelled(real: RealParts) -> RealParts:
    """The same images without classes."""
    return RealParts(*(LabelledImages(each.images) for each in (real.train, real.val, real.test)))


def bar_spec(name: str, classes: dict[int, str] | None = CLASSES) -> GeneratorSpec:
    """Of a generator of bars, with intensities in [-1, 1]."""
    outputs = {"image": OutputSpec("image", 1, (-1.0, 1.0), "float32")}
    return GeneratorSpec(name, outputs, (SIZE, SIZE), classes=classes, intensity="range", intensity_range=(0, 255))


class FreshBars(SampleGenerator):
    """Fresh draws of the real distribution."""

    def _generate(self, seeds: list[int], classes: list[int] | None, truncation: float) -> dict[str, Tensor]:
        numbers = [seed % 2 for seed in seeds] if classes is None else classes
        return {"image": torch.stack([self._one(s, n) for s, n in zip(seeds, numbers, strict=True)]) * 2 - 1}

    def _one(self, seed: int, number: int) -> Tensor:
        return bar(derive_seed("fresh", seed, number), bool(number))


class CollapsedBars(FreshBars):
    """One image per class."""

    def _one(self, seed: int, number: int) -> Tensor:
        return bar(7, bool(number))


class AnyBars(FreshBars):
    """Fresh draws that ignore the class."""

    def _one(self, seed: int, number: int) -> Tensor:
        return bar(derive_seed("any", seed, number), derive_seed("which", seed, number) % 4 == 0)
