# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""The folder in which a pool grows. Whatever ends a process here, the next one can go on."""

from __future__ import annotations

import dataclasses
import errno
import os
import shutil
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from monai_genaug.generators.pool_array import array_offset, array_path, create_array, write_at
from monai_genaug.generators.pool_checksums import (
    CHECKSUM_FILE,
    block_checksums,
    create_checksums,
    mark_done,
    missing_blocks,
)
from monai_genaug.generators.pool_record import POOL_FILE, PoolRecord
from monai_genaug.weights import file_sha256

__all__ = ["PartialPool", "check_room"]


class PartialPool:
    """A pool that is not finished; several processes may write different blocks of it at the same time.

    Args:
        folder: where :meth:`start` has been.

    Raises:
        ValueError: it holds no pool, or a damaged one.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.record = PoolRecord.read(folder)
        self._offsets = {
            name: array_offset(array_path(folder, name), self.record.shape(name), self.record.stored_dtype(name))
            for name in self.record.outputs
        }

    @classmethod
    def start(cls, record: PoolRecord, folder: Path) -> PartialPool:
        """Opens what is there, or else makes empty files.

        Raises:
            OSError: what is missing does not fit on the disk.
            ValueError: what is there is damaged.
        """
        if not (folder / POOL_FILE).is_file():
            check_room(record, folder, record.count)
            with _disk_errors(record, folder):
                folder.mkdir(exist_ok=True)
                (folder / CHECKSUM_FILE).unlink(missing_ok=True)
                for name in record.outputs:
                    create_array(array_path(folder, name), record.shape(name), record.stored_dtype(name))
                create_checksums(record, folder)
                _write_record(record, folder)  # last: without it, there is nothing to lose
            return cls(folder)
        pool = cls(folder)
        check_room(pool.record, folder, pool.n_missing_items)
        return pool

    @property
    def missing(self) -> list[int]:
        """Numbers of the blocks that are still to be written."""
        return missing_blocks(self.record, self.folder)

    @property
    def n_missing_items(self) -> int:
        """How many items these blocks have."""
        return _n_missing_items(self.record, self.folder)

    def write(self, block: int, values: Mapping[str, NDArray[np.generic]]) -> None:
        """Writes a block, output name -> ``(items, channels, *spatial_shape)`` as stored; then it is done.

        Raises:
            OSError: the disk is full; the text says what is missing. What is there stays.
        """
        first = self.record.block_items(block).start
        with _disk_errors(self.record, self.folder), ThreadPoolExecutor(1) as beside:  # the disk lets the CPU wait
            checksums = beside.submit(block_checksums, self.record, values)
            for name, offset in self._offsets.items():
                path = array_path(self.folder, name)
                write_at(path, offset + first * self.record.item_bytes(name), values[name].data)
            mark_done(self.folder, block, checksums.result())

    def finish(self, folder: Path) -> None:
        """Marks the pool as finished, and moves it to ``folder``, which may exist if it is empty.

        Raises:
            OSError: the disk is full.
            RuntimeError: blocks are missing.
        """
        if not self.record.checksums:
            if self.missing:
                raise RuntimeError(f"{self.folder}: blocks {self.missing} have not been written.")
            with _disk_errors(self.record, self.folder):
                write_at(self.folder / CHECKSUM_FILE, 0, b"")  # reaches the disk before the mark
                record = dataclasses.replace(self.record, checksums=file_sha256(self.folder / CHECKSUM_FILE))
                _write_record(record, self.folder)
        with suppress(FileNotFoundError):
            folder.rmdir()
        self.folder.replace(folder)


def _n_missing_items(record: PoolRecord, folder: Path) -> int:
    return sum(len(record.block_items(block)) for block in missing_blocks(record, folder))


def check_room(record: PoolRecord, folder: Path, n_items: int) -> None:
    """Refuses to begin what cannot be finished.

    Raises:
        OSError: so many items do not fit on the disk.
    """
    free = shutil.disk_usage(folder.parent).free
    if n_items * _item_bytes(record) > free:
        raise OSError(errno.ENOSPC, f"{folder}: the disk has no room. {_what_is_missing(record, folder, n_items)}")


@contextmanager
def _disk_errors(record: PoolRecord, folder: Path) -> Iterator[None]:
    """Says in an error what the pool still needs."""
    try:
        yield
    except OSError as error:
        started = (folder / POOL_FILE).is_file()
        missing = _n_missing_items(record, folder) if started else record.count
        text = f"{folder} cannot be written: {error.strerror}. {_what_is_missing(record, folder, missing)}"
        raise OSError(error.errno or errno.EIO, text) from error


def _what_is_missing(record: PoolRecord, folder: Path, n_items: int) -> str:
    needed, free = n_items * _item_bytes(record), shutil.disk_usage(folder.parent).free
    return (
        f"{record.count - n_items} of {record.count} items are done; the others need {needed} bytes, {free} are free. "
        "The same call goes on from there when there is room."
    )


def _item_bytes(record: PoolRecord) -> int:
    """What one item takes on disk, all outputs together."""
    return sum(record.item_bytes(name) for name in record.outputs)


def _write_record(record: PoolRecord, folder: Path) -> None:
    temporary = folder / f".{POOL_FILE}"
    with temporary.open("w", encoding="utf-8") as file:
        file.write(record.to_json())
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(folder / POOL_FILE)
