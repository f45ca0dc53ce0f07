# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import ctypes
import errno
import os
import resource
from collections.abc import Callable
from contextlib import suppress
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest

from monai_genaug.generators import GeneratorSpec, OutputSpec, SamplePool, build_pool
from monai_genaug.generators.base import Samples
from monai_genaug.generators.pool_record import PoolRecord
from monai_genaug.generators.pool_writing import PartialPool
from tests.generators.pool_tools import SHAPE, Failing, content
from tests.toy import toy_spec


class Filling(Failing):
    """Calls a function before it makes its n-th block."""

    def __init__(self, at: int, action: Callable[[], object]) -> None:
        super().__init__()
        self.at, self.action = at, action

    def _generate(self, seeds: list[int], classes: list[int] | None, truncation: float) -> Samples:
        if self.blocks + 1 == self.at:
            self.action()
        return super()._generate(seeds, classes, truncation)


def in_child(function: Callable[..., None], *arguments: Any) -> None:
    """Runs a function in a process whose limits and mounts are its own."""
    process = get_context("fork").Process(target=function, args=arguments)
    process.start()
    process.join(60)
    assert process.exitcode == 0


def limit_files(size: int) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def build_into_a_limit(folder: Path, at: int) -> None:
    """The image file has 128 + 2560 bytes; block b begins at 128 + 1024 b."""
    with pytest.raises(OSError, match=r"File too large\. (\d+) of 10 items are done") as caught:
        build_pool(Filling(at, lambda: limit_files(128 + 1024 + 500)), 10, folder, block_size=4, progress=False)
    assert caught.value.errno == errno.EFBIG
    done = {1: 0, 2: 4}[at]
    assert str(folder) in str(caught.value)
    assert f"{done} of 10 items are done; the others need {(10 - done) * 320} bytes" in str(caught.value)
    assert "The same call goes on" in str(caught.value)


@pytest.mark.parametrize("at", [1, 2])
def test_a_file_that_cannot_grow_is_an_error_and_the_same_call_goes_on(at: int, tmp_path: Path) -> None:
    """A limit on the size of files does what a full disk does: at the beginning, and in the middle of block 1."""
    in_child(build_into_a_limit, tmp_path / "pool", at)
    assert not (tmp_path / "pool").exists()
    second = Failing()
    build_pool(second, 10, tmp_path / "pool", block_size=4, progress=False)
    assert second.blocks == {1: 3, 2: 2}[at]
    build_pool(Failing(), 10, tmp_path / "undisturbed", block_size=4, progress=False)
    assert content(tmp_path / "pool") == content(tmp_path / "undisturbed")


def test_blocks_of_another_size_that_another_process_begins_meanwhile(tmp_path: Path) -> None:
    record = PoolRecord(Failing().spec, ((None, 10),), 0, 1.0, 3)
    generator = Filling(1, lambda: PartialPool.start(record, tmp_path / "pool.partial"))
    pool = build_pool(generator, 10, tmp_path / "pool", block_size=4, progress=False)
    assert generator.blocks == 1 + 4
    pool.verify()
    build_pool(Failing(), 10, tmp_path / "undisturbed", block_size=3, progress=False)
    assert content(tmp_path / "pool") == content(tmp_path / "undisturbed")


def mount_small_disk(folder: Path) -> None:
    """256 kB, seen by this process alone."""
    libc = ctypes.CDLL(None, use_errno=True)
    new_namespace, recursive_private = 0x20000, 0x44000
    for result in (
        libc.unshare(new_namespace),
        libc.mount(None, b"/", None, recursive_private, None),
        libc.mount(b"none", os.fsencode(folder), b"tmpfs", 0, b"size=256k"),
    ):
        if result:
            os._exit(77)


def fill_disk(folder: Path) -> None:
    with suppress(OSError), (folder / "others").open("wb", buffering=0) as file:
        while True:
            file.write(bytes(1024))


def build_on_a_disk_that_fills(folder: Path) -> None:
    mount_small_disk(folder)
    arguments: dict[str, Any] = {"plan": 100, "folder": folder / "pool", "block_size": 10, "progress": False}
    with pytest.raises(OSError, match=r"No space left on device\. \d+ of 100 items are done; .* 0 are free") as caught:
        build_pool(Filling(4, lambda: fill_disk(folder)), **arguments)
    assert caught.value.errno == errno.ENOSPC
    with pytest.raises(OSError, match=r"the disk has no room\. \d+ of 100 items are done; .* 0 are free"):
        build_pool(Failing(), **arguments)
    (folder / "others").unlink()
    second = Failing()
    build_pool(second, **arguments).verify()
    assert second.blocks < 10
    with pytest.raises(OSError, match=r"the disk has no room\. 0 of 1000 items are done; the others need 320000 bytes"):
        build_pool(Failing(), 1000, folder / "larger", progress=False)
    assert not (folder / "larger.partial").exists()


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root may mount a small disk")
def test_a_disk_that_fills_up(tmp_path: Path) -> None:
    process = get_context("fork").Process(target=build_on_a_disk_that_fills, args=(tmp_path,))
    process.start()
    process.join(60)
    if process.exitcode == 77:
        pytest.skip("this container may not mount a small disk")
    assert process.exitcode == 0


def test_what_cannot_fit_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    spec = GeneratorSpec("huge", {"image": OutputSpec("image", 1, (0.0, 1.0), "float32")}, (2**20, 2**20))
    record = PoolRecord(spec, ((None, 10**6),), 0, 1.0, 1)
    with pytest.raises(OSError, match=rf"no room\. 0 of 1000000 items are done; the others need {4 * 10**6 * 2**40}"):
        PartialPool.start(record, tmp_path / "pool.partial")
    assert not list(tmp_path.iterdir())


def test_a_pool_with_missing_blocks_is_not_finished(tmp_path: Path) -> None:
    partial = PartialPool.start(PoolRecord(toy_spec(SHAPE), ((None, 10),), 0, 1.0, 4), tmp_path / "pool.partial")
    assert partial.missing == [0, 1, 2]
    assert partial.n_missing_items == 10
    with pytest.raises(RuntimeError, match=r"blocks \[0, 1, 2\] have not been written"):
        partial.finish(tmp_path / "pool")
    with pytest.raises(ValueError, match="no finished pool: run build_pool"):
        SamplePool(tmp_path / "pool.partial")


def test_damage_of_a_partial_pool_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "pool.partial"
    record = PoolRecord(toy_spec(SHAPE), ((None, 10),), 0, 1.0, 4)
    PartialPool.start(record, folder)
    data = (folder / "mask.npy").read_bytes()
    (folder / "mask.npy").write_bytes(data[:-1])
    with pytest.raises(ValueError, match=rf"mask\.npy is damaged: it has {len(data) - 1} bytes"):
        PartialPool.start(record, folder)
    (folder / "mask.npy").write_bytes(data)
    (folder / "blocks.blake2b").unlink()
    with pytest.raises(ValueError, match=r"blocks\.blake2b is missing"):
        PartialPool.start(record, folder)
