# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""How much freed memory a process keeps for the next call of a network."""

from __future__ import annotations

from functools import cache

import torch

__all__ = ["keep_freed_memory"]

_LEARNED_FROM = 2**25 - 2**16
"""Bytes; 32 MiB is the largest block that glibc learns from (``M_MMAP_THRESHOLD`` in mallopt(3))."""


@cache
def keep_freed_memory() -> None:
    """Lets glibc keep up to 64 MiB of freed memory, once per process.

    At first it returns large blocks to the system when they are freed. A network whose features take some MiB then pays
    for new pages in every call on a CPU, with up to two fifths of its time (``benchmarks/freed_memory.py``). What it
    keeps it learns from the blocks that a program frees: here it sees one, whose pages are never touched. Other
    allocators take no notice.
    """
    torch.empty(_LEARNED_FROM, dtype=torch.uint8)
