# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import hashlib
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from monai_genaug.generators import GeneratorSpec, OutputSpec, SamplePool, build_pool
from monai_genaug.generators.pool_checksums import damaged_items, missing_blocks
from monai_genaug.generators.pool_record import PoolRecord
from monai_genaug.generators.pool_writing import PartialPool
from tests.toy import toy_generator, toy_spec


@pytest.fixture
def pool(tmp_path: Path) -> SamplePool:
    return build_pool(toy_generator((8, 8)), 10, tmp_path / "pool", block_size=4, progress=False)


def flip(path: Path, position: int) -> None:
    data = bytearray(path.read_bytes())
    data[position] ^= 1
    path.write_bytes(data)


def test_the_file_holds_a_hash_per_block_and_output(pool: SamplePool) -> None:
    rows = (pool.folder / "blocks.blake2b").read_bytes()
    expected = b""
    for first, end in ((0, 4), (4, 8), (8, 10)):
        for name in ("image", "mask"):
            values = np.load(pool.folder / f"{name}.npy")[first:end]
            expected += hashlib.blake2b(values.tobytes(), digest_size=16).digest()
    assert rows == expected
    assert pool.record.checksums == hashlib.sha256(rows).hexdigest()


def test_every_damaged_block_is_named(pool: SamplePool) -> None:
    pool.verify()
    image = np.load(pool.folder / "image.npy")
    offset = (pool.folder / "image.npy").stat().st_size - image.nbytes
    flip(pool.folder / "image.npy", offset + 9 * image[0].nbytes + 5)
    flip(pool.folder / "image.npy", offset + 2 * image[0].nbytes)
    flip(pool.folder / "mask.npy", -1)
    with pytest.raises(ValueError, match=r"image\.npy items 0 to 3, image\.npy items 8 to 9, mask\.npy items 8 to 9"):
        pool.verify()
    flip(pool.folder / "image.npy", offset + 4 * image[0].nbytes)  # neighbours are named together
    found = damaged_items(pool.record, pool.folder)
    assert [(path.name, items) for path, items in found] == [("image.npy", range(10)), ("mask.npy", range(8, 10))]


def test_what_a_process_writes_into_its_views_is_no_damage(pool: SamplePool) -> None:
    pool[0]["image"].zero_()
    pool.verify()


def test_damaged_checksums_are_named(pool: SamplePool) -> None:
    path = pool.folder / "blocks.blake2b"
    flip(path, 3)
    with pytest.raises(ValueError, match=r"blocks\.blake2b: sha256 is .*, expected"):
        pool.verify()
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match=r"blocks\.blake2b has 95 bytes, expected 96"):
        SamplePool(pool.folder)
    path.unlink()
    with pytest.raises(ValueError, match=r"blocks\.blake2b is missing"):
        SamplePool(pool.folder)


def test_files_that_go_after_opening_are_named(pool: SamplePool) -> None:
    (pool.folder / "mask.npy").unlink()
    with pytest.raises(ValueError, match=r"mask\.npy is missing"):
        pool.verify()


def test_a_block_is_there_when_all_its_outputs_are(tmp_path: Path) -> None:
    record = PoolRecord(toy_spec((8, 8)), ((None, 10),), 0, 1.0, 4)
    folder = PartialPool.start(record, tmp_path / "partial").folder
    assert missing_blocks(record, folder) == [0, 1, 2]
    rows = bytearray(96)
    rows[0] = rows[16] = 1  # block 0, image and mask
    rows[32 + 16] = 1  # block 1, only the mask
    (folder / "blocks.blake2b").write_bytes(rows)
    assert missing_blocks(record, folder) == [1, 2]


def test_memory_does_not_grow_with_the_block(tmp_path: Path) -> None:
    spec = GeneratorSpec("flat", {"image": OutputSpec("image", 1, (0.0, 1.0), "float32")}, (1024, 1024))
    partial = PartialPool.start(PoolRecord(spec, ((None, 16),), 0, 1.0, 16), tmp_path / "partial")
    partial.write(0, {"image": np.zeros((16, 1, 1024, 1024), dtype=np.float32)})
    partial.finish(tmp_path / "pool")
    pool = SamplePool(tmp_path / "pool")
    tracemalloc.start()
    pool.verify()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 << 20  # of 64 MB
