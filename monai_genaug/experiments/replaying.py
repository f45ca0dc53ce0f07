# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Generators that play given images, and what may have happened to images that are played again."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, avg_pool3d

from monai_genaug.generators import GeneratorSpec, OutputSpec, SampleGenerator
from monai_genaug.generators.base import Samples
from monai_genaug.quality.audit import audit_seeds

__all__ = ["DISGUISES", "PlayingGenerator", "smoothed"]


class PlayingGenerator(SampleGenerator):
    """Plays given images: for the seeds of an audit each one once, in their order.

    Args:
        images: class id -> ``(n, C, *spatial)``, values in [0, 1]; as many as the audit draws, or more.
        name: of the generator.
        seed: of the audit.
    """

    def __init__(self, images: Mapping[int, Tensor], name: str, seed: int = 0) -> None:
        one = next(iter(images.values()))
        digest = hashlib.sha256(b"".join(values.numpy().tobytes() for values in images.values())).hexdigest()
        spec = GeneratorSpec(
            name=name,
            sha256=digest,
            outputs={"image": OutputSpec("image", one.shape[1], (0.0, 1.0), "float32")},
            spatial_shape=tuple(one.shape[2:]),
            classes={number: f"class {number}" for number in images},
        )
        super().__init__(spec)
        self._images = dict(images)
        self._rows = {
            number: {own: row for row, own in enumerate(audit_seeds(seed, number, len(values)))}
            for number, values in images.items()
        }

    def _generate(self, seeds: list[int], classes: list[int] | None, truncation: float) -> Samples:
        assert classes is not None
        played = [
            self._images[number][self._rows[number].get(seed, seed % len(self._images[number]))]
            for seed, number in zip(seeds, classes, strict=True)
        ]
        return {"image": torch.stack(played)}


def smoothed(images: Tensor) -> Tensor:
    """Means over 3 pixels along each axis: as sharp as what a VAE makes."""
    pool = avg_pool2d if images.ndim == 4 else avg_pool3d
    blurred: Tensor = pool(images, 3, stride=1, padding=1, count_include_pad=False)
    return blurred


def _noisy(images: Tensor) -> Tensor:
    noise = torch.randn(images.shape, generator=torch.Generator().manual_seed(0))
    return (images + 0.05 * noise).clamp(0.0, 1.0)


DISGUISES: Mapping[str, Callable[[Tensor], Tensor]] = {
    "exact": lambda images: images,
    "noise of 5 %": _noisy,
    "mirrored": lambda images: images.flip(-1),
    "shifted by 1 pixel": lambda images: images.roll(1, dims=-1),
    "brighter": lambda images: (0.9 * images + 0.08).clamp(0.0, 1.0),
    "smoothed": smoothed,
}
"""What makes a copy harder to recognise."""
