# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""What building a pool costs: time per sample and memory as pools grow, and what a second rank brings.

The growing pools hold 28 x 28 images of a small DCGAN with random weights, each built in a process of its own.
Two ranks (gloo, one thread each) share a pool of the hippocampus bundle; the clock starts when both can sample.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from benchmarks.timing import Row, in_own_process, peak_mib, rate_row, show
from monai_genaug import GeneratorSpec, OutputSpec, build_pool, load_generator
from monai_genaug.generators import NetworkGenerator
from monai_genaug.networks import DCGANGenerator

COUNTS = (10**3, 10**4, 10**5)
RANKED = "hippocampus_mri_rhvae"
RANKED_SECONDS = 60.0  # work of one rank, at least
BAR = 1.6  # two ranks


def rows(quick: bool = False) -> list[Row]:
    """Both tables."""
    return growing((16, 64) if quick else COUNTS) + ranked(0.0 if quick else RANKED_SECONDS)


def growing(counts: Sequence[int], apart: Callable[..., Any] = in_own_process) -> list[Row]:
    """Seconds per sample and peak memory, beside those of the smallest pool.

    Args:
        counts: sizes of the pools.
        apart: calls the function that builds one of them, in a process of its own.
    """
    built = {count: apart(_build, count) for count in counts}
    seconds = {count: values[0] / count for count, values in built.items()}
    peaks = {count: values[2] for count, values in built.items()}
    notes = {count: f"{values[1]:,.0f} MiB before build_pool" for count, values in built.items()}
    return [
        *(_beside_first(seconds, count, "time", "s per sample", "as long") for count in counts),
        *(_beside_first(peaks, count, "peak memory", "MiB", "as much", notes[count]) for count in counts),
    ]


def _beside_first(
    values: Mapping[int, float], count: int, what: str, unit: str, ratio_means: str, note: str = ""
) -> Row:
    """A row with the value of a pool of ``count`` samples beside that of the smallest pool."""
    smallest = min(values)
    title, value = f"28 x 28, {count:,} samples, {what}", values[count]
    if count == smallest:
        return Row(title, value, unit, note=note)
    beside, first = f"{smallest:,} samples", values[smallest]
    return Row(title, value, unit, None, beside, first, value / first, ratio_means, note=note)


def ranked(at_least: float) -> list[Row]:
    """One rank and two, on a pool that keeps one busy for ``at_least`` seconds."""
    count = in_own_process(_count_for, at_least)
    one, two = (ranks_seconds(RANKED, world_size, count) for world_size in (1, 2))
    return [rate_row(f"{RANKED}, {count} samples, 2 ranks", [two], "sample", count, "1 rank", [one], BAR)]


def _build(count: int) -> tuple[float, float, float]:
    """Seconds, and the peak memory in MiB before and after."""
    torch.manual_seed(0)
    outputs = {"image": OutputSpec("image", 1, (0.0, 1.0), "float32")}
    spec = GeneratorSpec("small_dcgan", outputs, (28, 28), truncation=True)
    generator = NetworkGenerator(DCGANGenerator(2, (28, 28), latent_dim=16, channels=(16, 8)), spec)
    generator.sample(range(generator.batch_size))
    with TemporaryDirectory() as folder:
        before, start = peak_mib(), time.perf_counter()
        build_pool(generator, count, Path(folder) / "pool", progress=False)
        return time.perf_counter() - start, before, peak_mib()


def _count_for(seconds: float) -> int:
    """How many samples keep one thread busy for so long; a multiple of two blocks, except for the shortest runs."""
    torch.set_num_threads(1)
    generator = load_generator(RANKED)
    if seconds == 0:
        return 4
    generator.sample(range(32))
    start = time.perf_counter()
    generator.sample(range(32))
    return 64 * math.ceil(1.1 * seconds / (time.perf_counter() - start) / 2)


def ranks_seconds(name: str, world_size: int, count: int, start_method: str = "spawn") -> float:
    """Seconds of ``build_pool`` with so many ranks, for a shipped generator or a bundle folder.

    Raises:
        RuntimeError: a rank failed.
    """
    with TemporaryDirectory() as folder:
        start: Any = get_context(start_method).Process  # type: ignore[attr-defined]
        ranks = [start(target=_rank, args=(rank, world_size, name, count, Path(folder))) for rank in range(world_size)]
        for process in ranks:
            process.start()
        for process in ranks:
            process.join()
        codes = [process.exitcode for process in ranks]
        if any(codes):
            raise RuntimeError(f"exit codes of the ranks: {codes}.")
        return float((Path(folder) / "seconds").read_text())


def _rank(rank: int, world_size: int, name: str, count: int, folder: Path) -> None:
    """One process: joins the group, warms up, builds its part."""
    torch.set_num_threads(1)
    address = f"file://{folder / 'group'}"
    torch.distributed.init_process_group("gloo", init_method=address, rank=rank, world_size=world_size)
    generator = load_generator(name)
    generator.sample(range(2))
    torch.distributed.barrier()
    start = time.perf_counter()
    build_pool(generator, count, folder / "pool", block_size=min(32, count // 2), progress=False)
    torch.distributed.barrier()
    if rank == 0:
        (folder / "seconds").write_text(str(time.perf_counter() - start))
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    show(rows)
