# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Hands seeds on to random transforms where MONAI's own seeding stops or gives the same seed twice."""

from __future__ import annotations

from typing import Any

import numpy as np
from monai.data.utils import set_rnd

from monai_genaug.generators.seeding import derive_seed

__all__: list[str] = []


def _base_seed(seed: int | None, state: np.random.RandomState | None) -> int:
    """The number behind the arguments of ``set_random_state``: the seed, a draw of the state, or entropy."""
    if seed is not None:
        return int(seed)
    source = np.random.RandomState() if state is None else state
    return int(source.randint(2**32, dtype=np.uint64))


def _seed_dataset(dataset: Any, seed: int) -> None:
    """Seeds a data set's random transforms, also those of one that is itself randomizable.

    MONAI's ``set_rnd`` stops at the latter (``SmartCacheDataset``): its workers would repeat each other's draws.
    """
    set_rnd(dataset, derive_seed("dataset", seed) % 2**32)
    if hasattr(dataset, "set_random_state") and hasattr(dataset, "transform"):
        set_rnd(dataset.transform, derive_seed("transform", seed) % 2**32)
