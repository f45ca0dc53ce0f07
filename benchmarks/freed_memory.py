# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Networks of shipped generators on a CPU, whose features take new pages in every call or those of the last one.

Each process decodes ready codes in batches of 32 (volumes: 3), as it starts and after ``keep_freed_memory``, which all
generators call. The note says how many pages of 4 KiB a sample takes as the process starts.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Callable

import torch

from benchmarks.raw_network import decode, raw_network
from benchmarks.timing import Row, in_own_process, rate_row, show
from monai_genaug.generators.freed_memory import keep_freed_memory

COUNTS = {"chest_xray_cvae": 256, "chest_xray_cgan": 512, "skin_lesion_dcgan": 256, "hippocampus_mri_rhvae": 12}

Measured = tuple[list[float], float]
"""Seconds of every repetition, and new pages per sample."""


def rows(quick: bool = False, apart: Callable[..., Measured] = in_own_process) -> list[Row]:
    """All generators.

    Args:
        quick: few samples.
        apart: calls a function in another process.
    """
    return [_row_of(name, 4 if quick else count, 1 if quick else 7, apart) for name, count in COUNTS.items()]


def _row_of(name: str, count: int, repeats: int, apart: Callable[..., Measured]) -> Row:
    measured: dict[bool, tuple[list[float], list[float]]] = {True: ([], []), False: ([], [])}
    for _ in range(1 if repeats == 1 else 2):  # processes take turns
        for keeps, (seconds, pages) in measured.items():
            found = apart(decoded, name, count, repeats, keeps)
            seconds += found[0]
            pages.append(found[1])
    (ours, kept), (theirs, taken) = measured[True], measured[False]
    note = f"{max(taken):.0f} pages, then {max(kept):.0f}"
    return rate_row(name, ours, "sample", count, "as it starts", theirs, note=note)


def decoded(name: str, count: int, repeats: int, keeps: bool) -> Measured:
    """What decoding takes in this process."""
    if keeps:
        keep_freed_memory()
    network = raw_network(name)
    codes = torch.randn(count, network.code_dim, generator=torch.Generator().manual_seed(0))
    batch_size = 32 if network.spatial_dims == 2 else 3
    decode(network, codes, batch_size)
    seconds, before = [], resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(repeats):
        start = time.perf_counter()
        decode(network, codes, batch_size)
        seconds.append(time.perf_counter() - start)
    return seconds, (resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) / count / repeats


if __name__ == "__main__":
    show(rows)
