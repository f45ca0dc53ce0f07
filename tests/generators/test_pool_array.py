# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from monai_genaug.generators.pool_array import array_offset, array_path, create_array, map_array, write_at
from tests.ranks import run_ranks

SHAPE = (5, 1, 4, 3)
DTYPES = [np.dtype(name) for name in ("float32", "float16", "uint8", "int64")]


def written(folder: Path, dtype: np.dtype, array: np.ndarray) -> Path:
    """A file whose items 1 and 2 are those of the array."""
    path = array_path(folder, "image")
    create_array(path, SHAPE, dtype)
    offset = array_offset(path, SHAPE, dtype)
    write_at(path, offset + array[0].nbytes, array[1:3].data)
    return path


@pytest.mark.parametrize("dtype", DTYPES)
def test_numpy_reads_what_is_written(dtype: np.dtype, tmp_path: Path) -> None:
    array = np.arange(60).reshape(SHAPE).astype(dtype)
    path = written(tmp_path, dtype, array)
    expected = np.zeros_like(array)
    expected[1:3] = array[1:3]
    found = np.load(path)
    assert found.dtype == dtype
    assert np.array_equal(found, expected)
    assert np.array_equal(map_array(path, SHAPE, dtype), expected)
    np.save(tmp_path / "numpy.npy", expected)
    assert path.read_bytes() == (tmp_path / "numpy.npy").read_bytes()


def test_writing_into_the_map_leaves_the_file(tmp_path: Path) -> None:
    path = written(tmp_path, DTYPES[0], np.ones(SHAPE, dtype=np.float32))
    before = path.read_bytes()
    array = map_array(path, SHAPE, DTYPES[0])
    array[:] = 7
    assert path.read_bytes() == before
    assert map_array(path, SHAPE, DTYPES[0])[0, 0, 0, 0] == 0


def test_an_empty_file_takes_no_room(tmp_path: Path) -> None:
    path = array_path(tmp_path, "image")
    create_array(path, (1 << 30,), np.dtype("uint8"))
    assert path.stat().st_size > 1 << 30
    assert path.stat().st_blocks * 512 < 1 << 20


def test_a_file_larger_than_the_memory_is_mapped(tmp_path: Path) -> None:
    count = 4 * os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 100
    path = array_path(tmp_path, "image")
    try:
        create_array(path, (count, 100), np.dtype("uint8"))
    except OSError as error:
        pytest.skip(f"no sparse files of {100 * count} bytes here: {error}")
    write_at(path, array_offset(path, (count, 100), np.dtype("uint8")) + 100 * (count - 1), b"\x05" * 100)
    array = map_array(path, (count, 100), np.dtype("uint8"))
    assert array[-1].tolist() == [5] * 100
    array[count // 2] = 1
    assert array[count // 2].sum() == 100
    assert not array[count // 2 - 1].any()


def test_damage_is_named(tmp_path: Path) -> None:
    path = written(tmp_path, DTYPES[0], np.ones(SHAPE, dtype=np.float32))
    whole = path.read_bytes()
    for data, text in (
        (whole[:-1], rf"image\.npy is damaged: it has {len(whole) - 1} bytes, expected {len(whole)}"),
        (whole + b"\0", rf"it has {len(whole) + 1} bytes, expected {len(whole)}"),
        (whole[:100], r"image\.npy is missing or damaged"),
        (b"", r"image\.npy is missing or damaged"),
        (b"\x93NUMPY\x02" + whole[7:], r"its npy version is \(2, 0\)"),
        (whole.replace(b"False", b"True "), r"holds float32 \(5, 1, 4, 3\) in Fortran order, expected float32"),
        (whole.replace(b"<f4", b"<i4"), r"holds int32 \(5, 1, 4, 3\), expected float32"),
        (whole.replace(b"(5, 1, 4, 3)", b"(5, 1, 3, 4)"), r"holds float32 \(5, 1, 3, 4\), expected .* \(5, 1, 4, 3\)"),
    ):
        path.write_bytes(data)
        with pytest.raises(ValueError, match=text):
            map_array(path, SHAPE, DTYPES[0])
    path.unlink()
    with pytest.raises(ValueError, match=r"image\.npy is missing or damaged: .*No such file"):
        map_array(path, SHAPE, DTYPES[0])


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_write_that_does_not_fit_is_an_error_of_the_system() -> None:
    with pytest.raises(OSError, match="No space left on device"):
        write_at(Path("/dev/full"), 0, b"x", durable=False)


def write_their_halves(rank: int, folder: Path) -> None:
    array = np.arange(60, dtype=np.int64)
    offset = array_offset(array_path(folder, "image"), (60,), array.dtype)
    for i in range(rank, 60, 2):
        write_at(array_path(folder, "image"), offset + 8 * i, array[i : i + 1].data, durable=False)


def test_two_processes_write_disjoint_parts_of_one_file(tmp_path: Path) -> None:
    create_array(array_path(tmp_path, "image"), (60,), np.dtype("int64"))
    run_ranks(write_their_halves, tmp_path)
    assert np.load(array_path(tmp_path, "image")).tolist() == list(range(60))
