# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Items per second of a MONAI DataLoader in whose chain every item is replaced by a synthetic one.

The samples come from a pool on disk, or from the generator on the CPU: several at a time (look-ahead) or one by one.
The chain goes on with a flip. Workers are persistent, and the first epoch, which starts them, is not timed. PyTorch
computes with one thread in a worker, and with all of them where there is none.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from monai.data import DataLoader, Dataset
from monai.transforms import Compose, RandFlipd

from benchmarks.timing import Row, alternate, rate_row, show
from monai_genaug import RandGenerativeSampled, SampleGenerator, build_pool, load_generator

COUNTS = {"skin_lesion_dcgan": 512, "hippocampus_mri_rhvae": 48}  # items per epoch
WORKERS = (0, 1, 2)
POOL_SIZE = 64


def rows(quick: bool = False, counts: Mapping[str, int] = COUNTS) -> list[Row]:
    """All generators, shipped ones or bundle folders, and numbers of workers."""
    return [row for name, count in counts.items() for row in _rows_of(name, 4 if quick else count, quick)]


def _rows_of(name: str, count: int, quick: bool) -> list[Row]:
    ahead, single = load_generator(name), load_generator(name)
    single.look_ahead = 1
    repeats = 1 if quick else 3
    found = []
    with TemporaryDirectory() as folder:
        pool = build_pool(ahead, 2 if quick else POOL_SIZE, Path(folder) / "pool", progress=False)
        sources = {f"{ahead.look_ahead} samples at once": ahead, "one by one": single, "pool": pool}
        for workers in WORKERS[:: 2 if quick else 1]:
            runs = {source: partial(_epoch, _loader(made, count, workers)) for source, made in sources.items()}
            seconds = alternate(runs, repeats)
            slowest = seconds.pop("one by one")
            for source, taken in seconds.items():
                what = f"{ahead.spec.name}, {source}, {workers} workers"
                found.append(rate_row(what, taken, "item", count, "one by one", slowest))
    return found


def _loader(generator: SampleGenerator, count: int, workers: int) -> DataLoader:
    """Items in the generator's space; every one of them is replaced."""
    item: dict[str, Any] = {name: value[0] for name, value in generator.sample([0]).items()}
    chain = Compose([RandGenerativeSampled(list(item), generator, prob=1.0), RandFlipd(list(item), prob=0.5)])
    chain.set_random_state(0)
    return DataLoader(Dataset([item] * count, chain), workers, batch_size=8, persistent_workers=workers > 0)


def _epoch(loader: DataLoader) -> None:
    for _ in loader:
        pass


if __name__ == "__main__":
    show(rows)
