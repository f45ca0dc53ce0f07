# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""What the contract costs: samples of shipped generators beside their raw networks.

The raw network is that of the bundle, as PyTorch loads it: it decodes ready codes in batches of 32, without gradients.
``sample`` starts from seeds, and the data set builds its pool in a temporary folder and reads every item once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import redirect_stderr
from functools import partial
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from torch import Tensor

from benchmarks.raw_network import decode, raw_network
from benchmarks.timing import Row, alternate, rate_row, show
from monai_genaug import SyntheticDataset, build_pool, load_generator

NAMES = ("chest_xray_cvae", "chest_xray_cgan", "skin_lesion_dcgan", "hippocampus_mri_rhvae")
BATCH_SIZE = 32
BAR = 0.9


def rows(quick: bool = False, names: Sequence[str] = NAMES) -> list[Row]:
    """All generators; a name may also be a bundle folder."""
    return [row for name in names for row in _rows_of(name, quick)]


def _rows_of(name: str, quick: bool) -> list[Row]:
    generator: Any = load_generator(name)
    spec = generator.spec
    count = (1024 if len(spec.spatial_shape) == 2 else 32) if not quick else 2
    label = None if spec.classes is None else min(spec.classes)
    plan: Any = count if label is None else {label: count}
    generator.batch_size = BATCH_SIZE
    codes = generator.codes(range(count), label)
    with TemporaryDirectory() as folder:
        pool = build_pool(generator, plan, Path(folder) / "pool", progress=False)
        runs: dict[str, Callable[[], object]] = {
            "raw network": partial(decode, raw_network(name), codes, BATCH_SIZE),
            "codes": partial(generator.codes, range(count), label),
            "sample": partial(generator.sample, range(count), label),
            "sample, one seed per call": partial(_one_by_one, generator, count, label),
            "SyntheticDataset, built and read": partial(_data_set, generator, plan),
            "pool, every item read": partial(_read, pool),
        }
        seconds = alternate(runs, 1 if quick else 7)
    raw = seconds.pop("raw network")
    bars = {"sample": BAR, "SyntheticDataset, built and read": BAR}
    title = f"{spec.name}, {' x '.join(map(str, spec.spatial_shape))}"
    return [
        rate_row(f"{title}: {what}", taken, "sample", count, "raw network", raw, bars.get(what))
        for what, taken in seconds.items()
    ]


def _one_by_one(generator: Any, count: int, label: int | None) -> None:
    for seed in range(count):
        generator.sample([seed], label)


def _data_set(generator: Any, plan: Any) -> None:
    """A pool in a temporary folder, which goes at the end."""
    with redirect_stderr(StringIO()):  # the pool's progress
        _read(SyntheticDataset(generator, plan))


def _read(items: Any) -> None:
    """Every byte of every tensor; the sum is that of plain tensors, which has no meta data to keep."""
    for index in range(len(items)):
        for value in items[index].values():
            if isinstance(value, Tensor):
                value.as_subclass(Tensor).sum()


if __name__ == "__main__":
    show(rows)
