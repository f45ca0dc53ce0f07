# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""One checksum per block and output: which blocks of a pool are there, and whether they are still what was written.

The file holds, block after block, the BLAKE2b hash (16 bytes) of each output's values; zeros where a block is missing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from monai_genaug.generators.pool_array import array_offset, array_path, write_at
from monai_genaug.generators.pool_record import PoolRecord
from monai_genaug.weights import file_sha256

__all__ = [
    "CHECKSUM_FILE",
    "block_checksums",
    "check_file_size",
    "create_checksums",
    "damaged_items",
    "mark_done",
    "missing_blocks",
]

CHECKSUM_FILE = "blocks.blake2b"
_DIGEST_BYTES = 16
_CHUNK = 1 << 20


def create_checksums(record: PoolRecord, folder: Path) -> None:
    """Makes the file; no block is done."""
    (folder / CHECKSUM_FILE).write_bytes(bytes(record.n_blocks * _row_bytes(record)))


def check_file_size(record: PoolRecord, folder: Path) -> None:
    """Notices a checksum file that is not as long as it should be.

    Raises:
        ValueError: it is missing, or has another length.
    """
    path, expected = folder / CHECKSUM_FILE, record.n_blocks * _row_bytes(record)
    size = path.stat().st_size if path.is_file() else None
    if size != expected:
        found = "is missing" if size is None else f"has {size} bytes, expected {expected}"
        raise ValueError(f"{path} {found}: the pool is damaged. Delete {folder} and build it again.")


def missing_blocks(record: PoolRecord, folder: Path) -> list[int]:
    """The blocks of which not all outputs are there.

    Raises:
        ValueError: see :func:`check_file_size`.
    """
    check_file_size(record, folder)
    digests = np.fromfile(folder / CHECKSUM_FILE, dtype=np.uint8).reshape(record.n_blocks, -1, _DIGEST_BYTES)
    missing: list[int] = np.flatnonzero((digests == 0).all(axis=2).any(axis=1)).tolist()
    return missing


def block_checksums(record: PoolRecord, values: Mapping[str, NDArray[np.generic]]) -> bytes:
    """The row of a block in the file, from output name -> values as stored."""
    return b"".join(_digest(values[name]) for name in record.outputs)


def mark_done(folder: Path, block: int, checksums: bytes) -> None:
    """Notes the checksums of a block, after its values have reached the disk.

    Raises:
        OSError: the disk is full.
    """
    write_at(folder / CHECKSUM_FILE, block * len(checksums), checksums, durable=False)


def damaged_items(record: PoolRecord, folder: Path) -> list[tuple[Path, range]]:
    """The items that a finished pool no longer holds as they were written; reads all files, a piece at a time.

    Raises:
        ValueError: the checksums themselves have changed.
    """
    path = folder / CHECKSUM_FILE
    found = file_sha256(path)
    if found != record.checksums:
        raise ValueError(f"{path}: sha256 is {found}, expected {record.checksums}.")
    damaged: list[tuple[Path, range]] = []
    for number, name in enumerate(record.outputs):
        for items in _differing(record, folder, number, name):
            if damaged and damaged[-1][0] == array_path(folder, name) and damaged[-1][1].stop == items.start:
                items = range(damaged.pop()[1].start, items.stop)
            damaged.append((array_path(folder, name), items))
    return damaged


def _differing(record: PoolRecord, folder: Path, number: int, name: str) -> Iterator[range]:
    """The items of each block of one output that has changed."""
    offset = array_offset(array_path(folder, name), record.shape(name), record.stored_dtype(name))
    item_bytes = record.item_bytes(name)
    with array_path(folder, name).open("rb") as values, (folder / CHECKSUM_FILE).open("rb") as digests:
        values.seek(offset)
        for block in range(record.n_blocks):
            items = record.block_items(block)
            digests.seek(block * _row_bytes(record) + number * _DIGEST_BYTES)
            if _digest_of_file(values, len(items) * item_bytes) != digests.read(_DIGEST_BYTES):
                yield items


def _digest_of_file(file: BinaryIO, size: int) -> bytes:
    digest = hashlib.blake2b(digest_size=_DIGEST_BYTES)
    while size > 0:
        chunk = file.read(min(size, _CHUNK))
        if not chunk:
            break
        digest.update(chunk)
        size -= len(chunk)
    return digest.digest()


def _digest(values: NDArray[np.generic]) -> bytes:
    return hashlib.blake2b(values.data.cast("B"), digest_size=_DIGEST_BYTES).digest()


def _row_bytes(record: PoolRecord) -> int:
    return _DIGEST_BYTES * len(record.outputs)
