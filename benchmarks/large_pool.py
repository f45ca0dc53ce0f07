# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""A pool of a million 28 x 28 images stored as uint8, 784 MB in a temporary folder: opening, random reads, memory.

The images are noise, hashed from the seeds, so that building takes little time. Warm and cold reads have a fresh
process each; before the cold ones the system was asked to forget the file (``posix_fadvise``), which it may do in part.
Memory is the process's own: pages of the mapped file belong to the system's cache, which drops them when it must.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from benchmarks.timing import Row, alternate, in_own_process, own_mib, peak_mib, rate_row, show, time_row
from monai_genaug import GeneratorSpec, OutputSpec, SampleGenerator, SamplePool, build_pool

COUNT = 10**6
READS = 20_000
SHAPE = (28, 28)
BLOCK_SIZE = 4096


class HashedNoise(SampleGenerator):
    """White noise in 256 levels: pixel values are the bytes of splitmix64 at the seed."""

    batch_size = BLOCK_SIZE

    def __init__(self) -> None:
        outputs = {"image": OutputSpec("image", 1, (0.0, 1.0), "float32", levels=256)}
        super().__init__(GeneratorSpec("hashed_noise", outputs, SHAPE))

    def _generate(self, seeds: list[int], classes: list[int] | None, truncation: float) -> dict[str, torch.Tensor]:
        words = -(-SHAPE[0] * SHAPE[1] // 8)
        x = np.array(seeds, np.uint64)[:, None] + np.arange(1, words + 1, dtype=np.uint64) * np.uint64(
            0x9E3779B97F4A7C15
        )
        for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
            x = (x ^ (x >> np.uint64(shift))) * np.uint64(factor)
        levels = (x ^ (x >> np.uint64(31))).view(np.uint8)[:, : SHAPE[0] * SHAPE[1]]
        return {"image": torch.from_numpy(levels.reshape(-1, 1, *SHAPE) / np.float32(255))}


def rows(quick: bool = False, apart: Callable[..., Any] = in_own_process) -> list[Row]:
    """Builds the pool, then reads it; ``apart`` calls each part's function, in a process of its own."""
    count, reads = (BLOCK_SIZE + 1, 100) if quick else (COUNT, READS)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "pool"
        seconds, before, after = apart(_build, path, count)
        found = [
            time_row(f"building, {count:,} samples", [seconds], "sample", count),
            _memory("peak memory of building", after, before),
            time_row("opening", apart(_open_seconds, path)),
        ]
        found += apart(_warm_rows, path, reads)
        return [*found, *apart(_cold_rows, path, reads)]


def _build(path: Path, count: int) -> tuple[float, float, float]:
    """Seconds, and the peak memory in MiB before and after."""
    generator = HashedNoise()
    generator.sample(range(BLOCK_SIZE))
    before, start = peak_mib(), time.perf_counter()
    build_pool(generator, count, path, block_size=BLOCK_SIZE, dtype="uint8", progress=False)
    return time.perf_counter() - start, before, peak_mib()


def _open_seconds(path: Path) -> list[float]:
    return alternate({"open": lambda: SamplePool(path)}, repeats=5)["open"]


def _warm_rows(path: Path, reads: int) -> list[Row]:
    """Reads of a file that the system has in its cache."""
    before = own_mib()
    pool = SamplePool(path)
    opened = own_mib()
    places = _places(len(pool), reads)
    runs: dict[str, Callable[[], object]] = {
        "reading random items, warm": lambda: [pool[place] for place in places],
        "sample, one seed per call, warm": lambda: [pool.sample([place]) for place in places],
        "sample, 32 seeds per call, warm": lambda: [pool.sample(places[k : k + 32]) for k in range(0, reads, 32)],
    }
    seconds = alternate(runs, repeats=3)
    return [
        *(rate_row(what, taken, "sample", reads) for what, taken in seconds.items()),
        _memory("memory after opening", opened, before),
        _memory(f"memory after {reads:,} random items, several times", own_mib(), before),
    ]


def _cold_rows(path: Path, reads: int) -> list[Row]:
    """Reads that have to wait for the disk; each item once."""
    what = "reading random items, cold"
    if not hasattr(os, "posix_fadvise"):
        return [Row(what, note="this system has no posix_fadvise")]
    for file in path.iterdir():
        with file.open("rb") as opened:
            os.fsync(opened.fileno())
            os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    pool = SamplePool(path)
    places = _places(len(pool), reads)
    start = time.perf_counter()
    for place in places:
        pool[place]
    return [rate_row(what, [time.perf_counter() - start], "sample", reads)]


def _places(count: int, reads: int) -> list[int]:
    drawn: list[int] = np.random.default_rng(0).integers(count, size=reads).tolist()
    return drawn


def _memory(what: str, mib: float, before: float) -> Row:
    return Row(what, mib, "MiB", other="before", other_value=before)


if __name__ == "__main__":
    show(rows)
