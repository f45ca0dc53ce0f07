# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""The ``.npy`` files of a pool: made empty, written in pieces, mapped into memory."""

from __future__ import annotations

import math
import mmap
import os
import platform
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["array_offset", "array_path", "create_array", "map_array", "write_at"]

_sync = getattr(os, "fdatasync", os.fsync)  # the former leaves out what is not needed to read the data, times above all


def array_path(folder: Path, name: str) -> Path:
    """The file of one output."""
    return folder / f"{name}.npy"


def create_array(path: Path, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    """Makes a file of zeros, which take no room on disk before they are written over.

    Raises:
        OSError: no room for the header, or for a file of that size.
    """
    description = np.lib.format.dtype_to_descr(dtype)
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": description, "fortran_order": False, "shape": shape})
        file.truncate(file.tell() + _n_bytes(shape, dtype))


def array_offset(path: Path, shape: tuple[int, ...], dtype: np.dtype[Any]) -> int:
    """Where the values begin in a file, in bytes.

    Raises:
        ValueError: the file is missing, damaged, longer or shorter than it should be, or holds another array.
    """
    try:
        with path.open("rb") as file:
            version = np.lib.format.read_magic(file)
            if version != (1, 0):
                raise ValueError(f"its npy version is {version}, expected (1, 0).")
            found_shape, fortran_order, found_dtype = np.lib.format.read_array_header_1_0(file)
            offset, size = file.tell(), file.seek(0, os.SEEK_END)
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} is missing or damaged: {error}") from error
    if (found_shape, found_dtype, fortran_order) != (shape, dtype, False):
        order = " in Fortran order" if fortran_order else ""
        raise ValueError(f"{path} holds {found_dtype} {found_shape}{order}, expected {dtype} {shape}.")
    if size != offset + _n_bytes(shape, dtype):
        raise ValueError(f"{path} is damaged: it has {size} bytes, expected {offset + _n_bytes(shape, dtype)}.")
    return offset


def map_array(path: Path, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[np.generic]:
    """The array in a file, mapped into memory.

    Writing into it changes what this process reads, never the file: torch wants writable memory, and writing into a
    read-only map would kill the process.

    Raises:
        ValueError: see :func:`array_offset`.
    """
    offset = array_offset(path, shape, dtype)
    with path.open("rb") as file:
        return np.ndarray(shape, dtype, buffer=_copy_on_write(file.fileno()), offset=offset)


def write_at(path: Path, offset: int, data: bytes | memoryview, durable: bool = True) -> None:
    """Writes into an existing file, not through a map: a full disk is an error then, not the end of the process.

    Args:
        path: the file.
        offset: of the first byte.
        data: what is written.
        durable: return when the data are on disk.

    Raises:
        OSError: the disk is full, or the file cannot be written.
    """
    left = memoryview(data).cast("B")
    with path.open("r+b", buffering=0) as file:
        file.seek(offset)
        while left:
            left = left[file.write(left) :]
        if durable:
            _sync(file.fileno())


def _n_bytes(shape: tuple[int, ...], dtype: np.dtype[Any]) -> int:
    return dtype.itemsize * math.prod(shape)


def _copy_on_write(descriptor: int) -> mmap.mmap:
    """A private map of a file, of any size.

    All of a private map might be written to, so Linux refuses one larger than the memory unless told not to reserve
    any. Python knows the flag's name in its newer versions only.
    """
    known = 0x4000 if sys.platform == "linux" and platform.machine() in ("x86_64", "aarch64") else None
    flag = getattr(mmap, "MAP_NORESERVE", known)
    if flag is None:
        return mmap.mmap(descriptor, 0, access=mmap.ACCESS_COPY)
    return mmap.mmap(descriptor, 0, flags=mmap.MAP_PRIVATE | flag, prot=mmap.PROT_READ | mmap.PROT_WRITE)
