# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""What samples cost: from the generator in batches, inside a chain of transforms, and from a pool on disk.

``python benchmarks/sampling.py [NAME] [COUNT]``: a shipped generator or a bundle folder, and how many samples.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from monai_genaug import SampleGenerator, build_pool, list_generators, load_generator
from monai_genaug.transforms import RandGenerativeSampled


def timed(what: str, count: int, run: Callable[[], object]) -> None:
    """Prints milliseconds per sample, after one run that warms up."""
    run()
    start = time.perf_counter()
    run()
    print(f"{what:36}{1e3 * (time.perf_counter() - start) / count:10.2f} ms per sample")


def in_a_chain(generator: SampleGenerator, count: int) -> None:
    """The random transform replacing every item."""
    spec = generator.spec
    shape = spec.spatial_shape
    item: dict[Any, Any] = {
        name: torch.full((output.channels, *shape), output.value_range[0], dtype=getattr(torch, output.dtype))
        for name, output in spec.outputs.items()
    }
    transform = RandGenerativeSampled(list(item), generator, prob=1.0)
    for _ in range(count):
        transform(item)


def from_a_pool(folder: Path) -> None:
    """Every item once, each byte of it."""
    for values in load_generator(folder):  # type: ignore[attr-defined]
        for value in values.values():
            value.sum()


def main(name: str, count: int = 32) -> None:
    """Runs all measurements."""
    generator = load_generator(name)
    print(f"{generator.spec.name}, {generator.spec.spatial_shape}, {torch.get_num_threads()} threads")
    timed("latent codes", count, lambda: generator.sample_latent(range(count)))  # type: ignore[attr-defined]
    for batch_size in (1, 8, 32):
        generator.batch_size = batch_size
        timed(f"samples, {batch_size} at once", count, lambda: generator.sample(range(count)))
    timed("RandGenerativeSampled, one by one", count, lambda: in_a_chain(generator, count))
    with TemporaryDirectory() as folder:
        build_pool(generator, count, Path(folder) / "pool", progress=False)
        timed("pool, reading", count, lambda: from_a_pool(Path(folder) / "pool"))


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else next(iter(list_generators())), *map(int, sys.argv[2:3]))
