# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""How much freed memory a process keeps for the next call of a network."""

from __future__ import annotations

import ctypes
import sys

import torch

__all__ = ["TRAINING_MIB", "keep_freed_memory"]

TRAINING_MIB = 256
"""What trainers keep: about what a step frees."""

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""Parameters of mallopt(3), in bytes: freed memory at the top of the heap that is kept, and what lies in the heap."""

_LARGEST_IN_HEAP = 2**25
"""Bytes of a block; glibc allows no more."""

_kept = 0


def keep_freed_memory(device: torch.device | str, mib: int = 64) -> None:
    """Lets glibc keep freed memory where networks run on a CPU; a later call can only raise how much.

    At first it returns large blocks to the system when they are freed. A network whose features take some MiB then pays
    for new pages in every call, with up to two fifths of its time (``benchmarks/freed_memory.py``). Other allocators
    are left as they are.

    Args:
        device: on which a network is going to run.
        mib: what may be kept.
    """
    global _kept
    if torch.device(device).type != "cpu" or not sys.platform.startswith("linux") or mib <= _kept:
        return
    set_parameter = getattr(ctypes.CDLL(None), "mallopt", None)
    if set_parameter is not None:
        set_parameter(_MMAP_THRESHOLD, _LARGEST_IN_HEAP)
        set_parameter(_TRIM_THRESHOLD, mib * 2**20)
    _kept = mib
