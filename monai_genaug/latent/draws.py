# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Random numbers per sample: row i of every table depends on ``seeds[i]`` (and the stream) alone.

Each seed owns one counter-based Philox4x64-10 stream (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3",
SC 2011) per ``stream``. Two obvious alternatives do not hold what the package promises:

* ``torch.Generator`` on the CPU keeps only the low 32 bits of a seed, so that a set of 10^5 samples would contain
  pairs of equal ones (birthday bound) and seeds 5 and 5 + 2^32 would give the same sample.
* ``numpy.random.Generator.standard_normal`` may change its stream between numpy versions (NEP 19). The raw Philox
  words may not, and they are turned into numbers here by fixed arithmetic.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["standard_normal", "uniform"]

SEED_LIMIT = 2**63
_WORDS_PER_BLOCK = 4  # Philox4x64: a buffer position of 4 means "no words left, make a new block"


def uniform(seeds: Sequence[int], size: int, stream: int = 0) -> Tensor:
    """Draw uniform numbers in the open interval (0, 1).

    Args:
        seeds: one seed per row, each in [0, 2^63).
        size: numbers per seed. A longer row starts with the numbers of a shorter one.
        stream: separates independent streams of the same seed, in [0, 2^64).

    Returns:
        Tensor of shape ``(len(seeds), size)``, float64, on the CPU.

    Raises:
        ValueError: a seed, the size or the stream is out of range.
    """
    words = _philox_words(seeds, size, stream)
    # 52 bits and half a step: every value is exact and inside (0, 1); with 53 bits the largest would round to 1.
    return torch.from_numpy(((words >> np.uint64(12)).astype(np.float64) + 0.5) * 2.0**-52)


def standard_normal(seeds: Sequence[int], size: int, stream: int = 0) -> Tensor:
    """Draw standard normal numbers, by the inverse distribution function of :func:`uniform`.

    Args:
        seeds: one seed per row, each in [0, 2^63).
        size: numbers per seed. A longer row starts with the numbers of a shorter one.
        stream: separates independent streams of the same seed, in [0, 2^64).

    Returns:
        Tensor of shape ``(len(seeds), size)``, float64, on the CPU.

    Raises:
        ValueError: a seed, the size or the stream is out of range.
    """
    normal: Tensor = torch.special.ndtri(uniform(seeds, size, stream))
    return normal


def _philox_words(seeds: Sequence[int], size: int, stream: int) -> NDArray[np.uint64]:
    """First ``size`` words of the Philox stream with key (seed, stream), one row per seed."""
    if size < 0:
        raise ValueError(f"size must be >= 0, got {size}.")
    if not 0 <= stream < 2**64:
        raise ValueError(f"stream must be in [0, 2^64), got {stream}.")
    words = np.empty((len(seeds), size), dtype=np.uint64)
    philox = np.random.Philox(key=0)  # one object for all rows: setting its state is 5 times faster than a new one
    state: Any = philox.state
    for row, seed in enumerate(seeds):
        if not 0 <= int(seed) < SEED_LIMIT:
            raise ValueError(f"seeds must be in [0, 2^63), got {seed}.")
        state["state"]["key"][:] = (int(seed), stream)
        state["state"]["counter"][:] = 0
        state["buffer_pos"] = _WORDS_PER_BLOCK
        philox.state = state
        words[row] = philox.random_raw(size)
    return words
