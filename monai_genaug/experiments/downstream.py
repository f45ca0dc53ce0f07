# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Does it help? Segmentation networks from few real volumes, from synthetic ones, and from both."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from monai.data import Dataset
from monai.transforms import Compose
from torch import Tensor, nn

from monai_genaug.data import SyntheticDataset
from monai_genaug.experiments.segmentation import (
    dice_scores,
    geometric_augmentation,
    intensity_augmentation,
    train_segmenter,
)
from monai_genaug.generators import SampleGenerator, SamplePool
from monai_genaug.transforms import RandGenerativeSampled

__all__ = ["ARMS", "ArmData", "run_arm", "score_arm"]

Item = Mapping[str, Any]

ARMS: tuple[tuple[str, bool], ...] = tuple(
    (source, geometric) for source in ("real", "synthetic", "real + synthetic") for geometric in (False, True)
)
"""Training data, and whether it is augmented geometrically. Intensities are augmented in every arm."""


@dataclass(frozen=True)
class ArmData:
    """What the arms train on.

    Args:
        real: items with ``image`` and ``label`` in the generator's space; may be empty for synthetic data alone.
        generator: what made the pool.
        pool: synthetic samples, seed 0.
    """

    real: Sequence[Item]
    generator: SampleGenerator
    pool: SamplePool


def run_arm(
    source: str,
    geometric: bool,
    data: ArmData,
    steps: int,
    seed: int,
    on_step: Callable[[int], None] | None = None,
) -> nn.Module:
    """Trains one arm; every arm takes the same number of steps.

    Args:
        source: ``"real"``, ``"synthetic"`` or ``"real + synthetic"``: the last one puts
            :class:`RandGenerativeSampled` with ``prob=0.5`` at the head of the real chain.
        geometric: whether volumes are rotated, scaled and shifted.
        data: what to train on.
        steps: optimisation steps.
        seed: of weights, order, augmentation and draws.
        on_step: see :func:`train_segmenter`.
    """
    keys, pool = ["image", "label"], data.pool
    chain = [*(geometric_augmentation() if geometric else []), *intensity_augmentation(pool.spec.spatial_shape)]
    if source == "synthetic":
        dataset: Dataset = SyntheticDataset(data.generator, len(pool), keys, Compose(chain), cache_dir=pool.folder)
    elif source == "real":
        dataset = Dataset(list(data.real), Compose(chain))
    elif source == "real + synthetic":
        dataset = Dataset(list(data.real), Compose([RandGenerativeSampled(keys, pool, prob=0.5), *chain]))
    else:
        raise ValueError(f"source is {source!r}, allowed: {sorted({name for name, _ in ARMS})}.")
    return train_segmenter(dataset, steps, seed, on_step=on_step)


def score_arm(network: nn.Module, test: Sequence[Item]) -> Tensor:
    """Dice per test item: anterior, posterior, whole, mean of the two labels; ``(n, 4)``."""
    scores = dice_scores(network, test)
    return torch.cat([scores, scores[:, :2].mean(dim=1, keepdim=True)], dim=1)
