# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Real items of two classes, and generators that replay them or draw new ones of the same kind."""

from __future__ import annotations

import torch
from torch import Tensor

from monai_genaug.generators import GeneratorSpec, OutputSpec, SampleGenerator, derive_seed
from monai_genaug.generators.base import Samples
from monai_genaug.quality.audit_items import AuditItems

SIZE = 10
CLASSES = {0: "dark", 1: "bright"}


def blobs(count: int, seed: int, label: int = 0) -> Tensor:
    """Smooth random images ``(count, 1, 10, 10)`` in [0, 1], all different."""
    noise = torch.rand(count, 1, SIZE + 2, SIZE + 2, generator=torch.Generator().manual_seed(seed))
    smooth = torch.nn.functional.avg_pool2d(noise, 3, 1)
    return (0.2 + 0.3 * label + smooth / 2).clamp(0, 1)


def items(count: int, seed: int) -> AuditItems:
    """``count`` images of each class."""
    images = torch.cat([blobs(count, 100 * seed + label, label) for label in CLASSES])
    return AuditItems({"image": images}, torch.arange(2).repeat_interleave(count))


class ReplayGenerator(SampleGenerator):
    """Draws from stored images, with noise; a share of its samples are fresh images instead."""

    def __init__(self, stored: AuditItems, noise: float = 0.0, fresh: float = 0.0) -> None:
        spec = GeneratorSpec(
            name="replay",
            outputs={"image": OutputSpec("image", 1, (0.0, 1.0), "float32")},
            spatial_shape=(SIZE, SIZE),
            classes=CLASSES,
            sha256=f"{derive_seed('replay', str(noise), str(fresh)):064x}",
        )
        super().__init__(spec)
        self.stored, self.noise, self.fresh = stored, noise, fresh

    def _generate(self, seeds: list[int], classes: list[int] | None, truncation: float) -> Samples:
        assert classes is not None
        return {"image": torch.stack([self._one(seed, label) for seed, label in zip(seeds, classes, strict=True)])}

    def _one(self, seed: int, label: int) -> Tensor:
        own = torch.Generator().manual_seed(derive_seed("noise", seed))
        if derive_seed("coin", seed) % 1000 < 1000 * self.fresh:
            return blobs(1, derive_seed("fresh", seed), label)[0]
        rows = self.stored.rows_of(label)
        image = self.stored.outputs["image"][rows[derive_seed("row", seed) % len(rows)]]
        return (image + self.noise * torch.randn(image.shape, generator=own)).clamp(0, 1)
