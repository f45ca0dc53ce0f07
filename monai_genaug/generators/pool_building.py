# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Building a pool in blocks, so that a kill loses one block and a second run finishes it."""

from __future__ import annotations

import dataclasses
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray
from tqdm import tqdm

from monai_genaug.generators.base import SampleGenerator, checked_seeds
from monai_genaug.generators.class_labels import ClassLabel
from monai_genaug.generators.pool import SamplePool, array_path
from monai_genaug.generators.pool_record import POOL_FILE, PoolRecord, resolve_plan
from monai_genaug.weights import file_sha256

__all__ = ["build_pool"]

_COMPLETION_FILE = "blocks.done"  # one byte per block: 1 when its items are on disk


def build_pool(
    generator: SampleGenerator,
    plan: int | Mapping[ClassLabel, int],
    folder: str | os.PathLike[str],
    seed: int = 0,
    truncation: float = 1.0,
    block_size: int = 32,
    progress: bool = True,
) -> SamplePool:
    """Makes the items of a plan and stores them, or opens the pool where it is finished already.

    Items lie in the order of the plan: all of its first class, then all of the second. Until the last one is made,
    everything is in ``<folder>.partial``; a second run continues there. Of several processes that build one folder at
    the same time one does the work and the others wait for it (``<folder>.lock``). The generator is recognised by its
    spec with the hash of its weights: one without ``sha256`` should change its ``version`` when it changes.

    Args:
        generator: makes the items.
        plan: number of items, or {class: number} for a conditional generator.
        folder: the pool, in an existing folder.
        seed: item i is made from ``derive_seed("pool", seed, i)``.
        truncation: passed to the generator.
        block_size: items that are made at once, and lost at most when the process is killed.
        progress: show a progress bar.

    Returns:
        The finished pool.

    Raises:
        ValueError: an argument that is not allowed; ``folder`` holds something else, or a pool of another generator,
            plan, seed or truncation; weights that cannot be used, or samples that the spec does not promise. Nothing is
            written then.
    """
    if block_size < 1:
        raise ValueError(f"block_size is {block_size}, allowed: 1 or more.")
    generator._check_truncation(truncation)
    folder = Path(folder).resolve()
    record = PoolRecord(
        generator.spec, resolve_plan(plan, generator.spec), checked_seeds([seed])[0], float(truncation), block_size
    )
    partial = folder.with_name(f"{folder.name}.partial")
    if not _is_finished(record, folder, partial):
        if not partial.exists():
            _sample_items(generator, record, range(1))
        with _only_builder(folder):
            if not _is_finished(record, folder, partial):  # by another process, meanwhile
                _build(generator, record, partial, progress)
                partial.replace(folder)
    return SamplePool(folder)


def _is_finished(wanted: PoolRecord, folder: Path, partial: Path) -> bool:
    """Whether the pool is there.

    Raises:
        ValueError: the folder, or the partial one, holds something else.
    """
    finished = folder.exists() and (not folder.is_dir() or any(folder.iterdir()))
    place = folder if finished else partial
    if finished or (partial / POOL_FILE).is_file():
        differences = wanted.differences(PoolRecord.read(place))
        if differences:
            raise ValueError(f"{place} holds another pool: {differences} differ. Delete it or use another.")
    return finished


@contextmanager
def _only_builder(folder: Path) -> Iterator[None]:
    """Holds the folder's lock, which the system takes back from a process that dies."""
    path = folder.with_name(f"{folder.name}.lock")
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        logging.getLogger(__name__).warning("waiting for another process, which builds %s and holds %s", folder, path)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()
    path.unlink(missing_ok=True)  # the pool is finished: who comes now needs no lock. Otherwise the file must stay.


def _build(generator: SampleGenerator, record: PoolRecord, partial: Path, progress: bool) -> None:
    """Everything that a finished pool has, in the partial folder; continues what is there."""
    if (partial / POOL_FILE).is_file():
        record = PoolRecord.read(partial)
    else:
        _start(record, partial)
    if not record.checksums:
        _fill(generator, record, partial, progress)
        checksums = {name: file_sha256(array_path(partial, name)) for name in record.generator.outputs}
        _write_record(dataclasses.replace(record, checksums=checksums), partial)
    (partial / _COMPLETION_FILE).unlink(missing_ok=True)


def _start(record: PoolRecord, partial: Path) -> None:
    """Empty files; ``pool.json`` comes last, so that a folder without it has nothing to lose."""
    partial.mkdir(exist_ok=True)
    for name, output in record.generator.outputs.items():
        shape = (record.count, output.channels, *record.generator.spatial_shape)
        np.lib.format.open_memmap(array_path(partial, name), mode="w+", dtype=output.dtype, shape=shape).flush()
    (partial / _COMPLETION_FILE).write_bytes(bytes(-(-record.count // record.block_size)))
    _write_record(record, partial)


def _fill(generator: SampleGenerator, record: PoolRecord, partial: Path, progress: bool) -> None:
    """Makes the blocks that are missing."""
    done = bytearray((partial / _COMPLETION_FILE).read_bytes())
    arrays = {
        name: np.lib.format.open_memmap(array_path(partial, name), mode="r+") for name in record.generator.outputs
    }
    with tqdm(total=record.count, desc=f"pool {partial.stem}", disable=not progress) as bar:
        for block, is_done in enumerate(done):
            items = range(block * record.block_size, min((block + 1) * record.block_size, record.count))
            if not is_done:
                for name, values in _sample_items(generator, record, items).items():
                    arrays[name][items.start : items.stop] = values
                    arrays[name].flush()
                _mark_done(block, partial)
            bar.update(len(items))


def _sample_items(generator: SampleGenerator, record: PoolRecord, items: range) -> dict[str, NDArray[np.generic]]:
    """Items of the pool, output name -> array.

    Raises:
        ValueError: samples that are not what the generator's spec says.
    """
    classes = None if record.classes is None else record.classes[items.start : items.stop]
    samples = generator.sample([record.item_seed(item) for item in items], classes, record.truncation)
    arrays: dict[str, NDArray[np.generic]] = {}
    for name, output in record.generator.outputs.items():
        values = arrays[name] = samples[name].cpu().numpy()
        shape = (len(items), output.channels, *record.generator.spatial_shape)
        if values.shape != shape or values.dtype != np.dtype(output.dtype):
            raise ValueError(
                f"the generator made {name!r} as {values.dtype} {values.shape}, its spec says {output.dtype} {shape}."
            )
    return arrays


def _mark_done(block: int, partial: Path) -> None:
    """After the block's data have been flushed."""
    with (partial / _COMPLETION_FILE).open("r+b") as file:
        file.seek(block)
        file.write(b"\x01")
        file.flush()
        os.fsync(file.fileno())


def _write_record(record: PoolRecord, partial: Path) -> None:
    temporary = partial / f".{POOL_FILE}"
    temporary.write_text(record.to_json())
    temporary.replace(partial / POOL_FILE)
