# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Does it help? Segmentation networks from few real volumes, from synthetic ones, and from both."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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
from monai_genaug.generators import SamplePool
from monai_genaug.transforms import RandGenerativeSampled

__all__ = ["ARMS", "run_arm"]

Item = Mapping[str, Any]

ARMS: tuple[tuple[str, bool], ...] = tuple(
    (source, geometric) for source in ("real", "synthetic", "real + synthetic") for geometric in (False, True)
)
"""Training data, and whether it is augmented geometrically. Intensities are augmented in every arm."""


def run_arm(
    source: str,
    geometric: bool,
    real: Sequence[Item],
    pool: SamplePool,
    steps: int,
    seed: int,
    on_step: Callable[[int], None] | None = None,
) -> nn.Module:
    """Trains one arm; every arm takes the same number of steps.

    Args:
        source: ``"real"``, ``"synthetic"`` or ``"real + synthetic"``: the last one puts
            :class:`RandGenerativeSampled` with ``prob=0.5`` at the head of the real chain.
        geometric: whether volumes are rotated, scaled and shifted.
        real: items with ``image`` and ``label`` in the generator's space; may be empty for synthetic data alone.
        pool: synthetic samples.
        steps: optimisation steps.
        seed: of weights, order, augmentation and draws.
        on_step: see :func:`train_segmenter`.
    """
    keys = ["image", "label"]
    chain = [*(geometric_augmentation() if geometric else []), *intensity_augmentation(pool.spec.spatial_shape)]
    if source == "synthetic":
        dataset: Dataset = SyntheticDataset(pool, len(pool), keys=keys, transform=Compose(chain), seed=seed)
    elif source == "real":
        dataset = Dataset(list(real), Compose(chain))
    elif source == "real + synthetic":
        dataset = Dataset(list(real), Compose([RandGenerativeSampled(keys, pool, prob=0.5), *chain]))
    else:
        raise ValueError(f"source is {source!r}, allowed: {sorted({name for name, _ in ARMS})}.")
    return train_segmenter(dataset, steps, seed, on_step=on_step)


def score_arm(network: nn.Module, test: Sequence[Item]) -> Tensor:
    """Dice per test item: anterior, posterior, whole, mean of the two labels; ``(n, 4)``."""
    scores = dice_scores(network, test)
    return torch.cat([scores, scores[:, :2].mean(dim=1, keepdim=True)], dim=1)
