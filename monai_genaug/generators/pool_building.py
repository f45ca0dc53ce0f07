# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Building a pool in blocks, so that a kill loses one block and a second run finishes it."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from monai_genaug.generators.base import SampleGenerator, checked_seeds
from monai_genaug.generators.class_labels import ClassLabel
from monai_genaug.generators.loading import load_generator
from monai_genaug.generators.pool import SamplePool
from monai_genaug.generators.pool_ranks import Ranks
from monai_genaug.generators.pool_record import POOL_FILE, PoolRecord, resolve_plan, usual_block_size
from monai_genaug.generators.pool_storage import StorageType, check_storage_type, encode
from monai_genaug.generators.pool_writing import PartialPool, check_room
from monai_genaug.generators.sample_checks import check_output

__all__ = ["build_pool"]

_LOCK_SECONDS = 10.0  # between two looks at the other ranks, while rank 0 waits for the lock

_Block = dict[str, NDArray[np.generic]]
"""Output name -> items of a block, as the files hold them."""

_Blocks = dict[int, _Block]
"""Number of a block -> its items."""


def build_pool(
    generator: SampleGenerator | str | os.PathLike[str],
    plan: int | Mapping[ClassLabel, int],
    folder: str | os.PathLike[str],
    seed: int = 0,
    truncation: float = 1.0,
    block_size: int | None = None,
    dtype: StorageType = "float32",
    progress: bool = True,
    distributed: bool = True,
) -> SamplePool:
    """Makes the items of a plan and stores them, or opens the pool where it is finished already.

    Items lie in the order of the plan: all of its first class, then all of the second. Until the last one is made,
    everything is in ``<folder>.partial``; a second run continues there, also after a kill or a full disk. The generator
    is recognised by its spec with the hash of its weights: one without ``sha256`` should change its ``version`` when it
    changes.

    Under ``ignite.distributed`` (for example ``torchrun``) all ranks call this with the same arguments and a folder
    that all of them see; they make the blocks in turns, and an error on one is an error on all. The bytes do not depend
    on the number of ranks. Of several builders of one folder at the same time, one does the work and the others wait
    for it (``.<folder>.lock``, an empty file that stays).

    Args:
        generator: makes the items; or its name, bundle or folder, as :func:`load_generator` takes it.
        plan: number of items, or {class: number} for a conditional generator.
        folder: the pool, in an existing folder.
        seed: item i is made from ``derive_seed("pool", seed, i)``.
        truncation: passed to the generator.
        block_size: items that are written at once; None: 32 or a multiple of it, of not more than 4 MiB and 1,024
            items. A block is written while the next one is made. Killing the process loses one block, and what was made
            of the next one while it was written (per rank).
        dtype: how images are stored, ``"float32"``, ``"float16"`` or ``"uint8"`` (256 levels over the value range);
            they are read as float32. Masks keep their type.
        progress: show a progress bar (on rank 0).
        distributed: False: this process builds the pool alone, whatever process group it belongs to.

    Returns:
        The finished pool.

    Raises:
        ValueError: an argument that is not allowed; ``folder`` holds something else, or a pool of another generator,
            plan, seed, truncation or dtype; weights that cannot be used, or samples that the spec does not promise.
            Nothing is written then.
        OSError: the disk is full, or what is missing does not fit on it. What is there stays for the next call.
        RuntimeError: another rank has failed.

    Example:
        >>> pool = mg.build_pool("breast_us_cgan", {"malignant": 2, "normal or benign": 1}, "pool", dtype="uint8")
        >>> len(pool), pool[2]["image"].shape
        (3, torch.Size([1, 28, 28]))
    """
    generator, ranks = load_generator(generator), Ranks(distributed)
    folder = Path(folder).resolve()
    partial = folder.with_name(f"{folder.name}.partial")
    with ranks.step():
        if block_size is not None and block_size < 1:
            raise ValueError(f"block_size is {block_size}, allowed: 1 or more.")
        generator._check_truncation(truncation)
        check_storage_type(dtype, generator.spec)
        pairs, number = resolve_plan(plan, generator.spec), checked_seeds([seed])[0]
        size = usual_block_size(generator.spec, dtype) if block_size is None else block_size
        record = PoolRecord(generator.spec, pairs, number, float(truncation), size, dtype)
        finished = _is_finished(record, folder, partial)
    _check_same_pool(record, ranks)
    if not ranks.share(finished)[0]:
        with _progress_bar(record, folder, progress and ranks.is_first) as bar:
            with ranks.step():
                first = _first_block(generator, record, partial, ranks)
            with _only_builder(folder, ranks):
                _build(generator, record, folder, partial, ranks, bar, first)
    with ranks.step():
        pool = SamplePool(folder)
    return pool


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


def _check_same_pool(record: PoolRecord, ranks: Ranks) -> None:
    if ranks.size == 1:
        return
    identities = ranks.share(record.identity)
    others = [rank for rank, identity in enumerate(identities) if identity != identities[0]]
    if others:
        raise ValueError(
            f"ranks {others} were asked for another pool than rank 0: give all of them the same arguments."
        )


def _progress_bar(record: PoolRecord, folder: Path, shown: bool) -> tqdm[Any]:
    return tqdm(total=record.count, desc=f"pool {folder.stem}", unit=" items", disable=not shown)


def _first_block(generator: SampleGenerator, record: PoolRecord, partial: Path, ranks: Ranks) -> _Blocks:
    """This rank's first block of a pool of which there is nothing yet: what fails here leaves nothing behind."""
    if partial.exists() or ranks.rank >= record.n_blocks:
        return {}
    check_room(record, partial, record.count)
    return {ranks.rank: _stored(generator, record, record.block_items(ranks.rank))}


@contextmanager
def _only_builder(folder: Path, ranks: Ranks) -> Iterator[None]:
    """Rank 0 holds the folder's lock, which the system takes back from a process that dies.

    The file stays: somebody might be waiting for this one while others made and locked a new one.
    """
    path = folder.with_name(f".{folder.name}.lock")
    lock = FileLock(path)
    seconds = 0.0
    try:
        while not _acquired(lock, seconds, ranks):
            if seconds == 0.0 and ranks.is_first:
                text = "waiting for another process, which builds %s and holds %s"
                logging.getLogger(__name__).warning(text, folder, path)
            seconds = _LOCK_SECONDS
        yield
    finally:
        lock.release()


def _acquired(lock: FileLock, seconds: float, ranks: Ranks) -> bool:
    held = True
    with ranks.step():
        if ranks.is_first:
            try:
                lock.acquire(timeout=seconds)
            except Timeout:
                held = False
    return bool(ranks.share(held)[0])


def _build(
    generator: SampleGenerator,
    record: PoolRecord,
    folder: Path,
    partial: Path,
    ranks: Ranks,
    bar: tqdm[Any],
    made: _Blocks,
) -> None:
    """Makes what is missing of the pool, but for the blocks already made; rank 0 makes the files and finishes them."""
    finished = False
    with ranks.step():
        if ranks.is_first:
            finished = _is_finished(record, folder, partial)  # by another process, meanwhile
            if not finished:
                PartialPool.start(record, partial)
    if ranks.share(finished)[0]:
        return
    with ranks.step():
        pool = PartialPool(partial)
        missing = pool.missing
    same_blocks = pool.record.block_size == record.block_size  # not if another process began the pool meanwhile
    _fill(generator, pool, missing, ranks, bar, made if same_blocks else {})
    with ranks.step():
        if ranks.is_first:
            pool.finish(folder)


def _fill(
    generator: SampleGenerator, pool: PartialPool, missing: list[int], ranks: Ranks, bar: tqdm[Any], made: _Blocks
) -> None:
    """Makes the missing blocks, in each round one per rank: nobody waits longer than for one block."""
    record = pool.record
    bar.initial = bar.n = record.count - sum(len(record.block_items(block)) for block in missing)
    bar.refresh()
    rounds = [missing[start : start + ranks.size] for start in range(0, len(missing), ranks.size)]
    with ThreadPoolExecutor(1) as disk:  # which writes a block while the next one is made
        written: Future[None] | None = None
        for before, blocks in zip([[], *rounds], [*rounds, []], strict=True):
            with ranks.step():
                if ranks.rank < len(blocks):
                    block = blocks[ranks.rank]
                    items = made.pop(block) if block in made else _stored(generator, record, record.block_items(block))
                if written is not None:
                    written.result()
                    written = None
                bar.update(sum(len(record.block_items(block)) for block in before))
                if ranks.rank < len(blocks):
                    written = disk.submit(pool.write, blocks[ranks.rank], items)


def _stored(generator: SampleGenerator, record: PoolRecord, items: range) -> _Block:
    """Items of the pool, as the files hold them."""
    samples = _sample_items(generator, record, items)
    return {name: encode(samples[name], record.generator.outputs[name], record.dtype) for name in samples}


def _sample_items(generator: SampleGenerator, record: PoolRecord, items: range) -> dict[str, Tensor]:
    """Items of the pool, output name -> ``(items, channels, *spatial_shape)`` on the CPU.

    Raises:
        ValueError: samples that are not what the generator's spec says.
    """
    classes = None if record.classes is None else record.classes[items.start : items.stop]
    samples = generator.sample([record.item_seed(item) for item in items], classes, record.truncation)
    made = {name: samples[name].cpu().contiguous() for name in record.outputs}
    for name, values in made.items():
        check_output(name, values, (len(items), *record.shape(name)[1:]), record.generator.outputs[name])
    return made
