# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Small decoders that are no LatentDecoder, and functions of seeds, as users bring them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from monai_genaug.generators import (
    FunctionGenerator,
    ModuleGenerator,
    SampleGenerator,
    export_network,
    image_spec,
    load_generator,
)
from monai_genaug.latent.draws import uniform

LATENT_DIM = 4
CLASSES = ("a", "b")


class ToyDecoder(nn.Module):
    """Codes (and class numbers, if there are classes) -> images in (-1, 1)."""

    def __init__(self, shape: Sequence[int], n_classes: int = 0, seed: int = 0) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.linear = nn.Linear(LATENT_DIM, math.prod(shape))
            self.embedding = nn.Embedding(n_classes, math.prod(shape)) if n_classes else None
        self.shape = tuple(shape)

    def forward(self, z: Tensor, classes: Tensor | None = None) -> Tensor:
        values = self.linear(z)
        if self.embedding is not None:
            values = values + 0.5 * self.embedding(classes)
        return torch.tanh(values).view(-1, 1, *self.shape)


def module_generator(shape: Sequence[int], classes: Sequence[str] = CLASSES, **fields: Any) -> ModuleGenerator:
    """A decoder of this file as a generator, by class numbers where there are classes."""
    spec = image_spec("toy_module", shape, classes=classes, truncation=True, **fields)
    condition: Any = "index" if classes else None
    return ModuleGenerator(ToyDecoder(shape, len(classes)), LATENT_DIM, spec, condition, (-1.0, 1.0))


def exported_generator(shape: Sequence[int], path: Path) -> SampleGenerator:
    """:func:`module_generator` by way of a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return load_generator(export_network(module_generator(shape), path), trust=True)


def noise(seeds: list[int], classes: list[int] | None, truncation: float) -> Tensor:
    """Images 8 x 8 x 8 of a seed's own stream."""
    return uniform(seeds, 8**3).float().view(-1, 1, 8, 8, 8)


def global_noise(seeds: list[int], classes: list[int] | None, truncation: float) -> dict[str, Tensor]:
    """Images 8 x 8 x 8 of the global states of torch and numpy."""
    assert len(seeds) == 1
    drawn = torch.rand(1, 1, 8, 8, 8) * 0.5 + 0.5 * torch.from_numpy(np.random.rand(1, 1, 8, 8, 8)).float()
    return {"image": drawn}


def function_generator(uses_global_state: bool = False) -> FunctionGenerator:
    """One of the two functions above as a generator."""
    spec = image_spec("toy_function", (8, 8, 8))
    return FunctionGenerator(global_noise if uses_global_state else noise, spec, uses_global_state)
