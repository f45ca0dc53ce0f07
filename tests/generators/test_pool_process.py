# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
import pickle
import sys
import time
from multiprocessing import get_context
from pathlib import Path

from monai_genaug.generators import build_pool, pool_process
from tests.toy import toy_generator

SHAPE = (8, 8)


def as_process(source: Path) -> None:
    """What ``python -m`` does, without importing everything once more."""
    sys.stdin = source.open()
    sys.argv = ["pool_process", str(os.getppid())]
    before = os.nice(0)
    pool_process._main()
    assert os.nice(0) > before


def test_it_builds_what_its_input_says(tmp_path: Path) -> None:
    arguments = {"plan": 5, "folder": tmp_path / "pool", "seed": 3}
    generator = toy_generator(SHAPE)
    (tmp_path / "input").write_bytes(pickle.dumps(generator) + pickle.dumps(arguments))
    process = get_context("fork").Process(target=as_process, args=(tmp_path / "input",))
    process.start()
    process.join(60)
    assert process.exitcode == 0
    build_pool(generator, 5, tmp_path / "expected", seed=3, progress=False)
    for name in ("image.npy", "mask.npy"):
        assert (tmp_path / "pool" / name).read_bytes() == (tmp_path / "expected" / name).read_bytes()


def test_it_ends_with_its_parent() -> None:
    orphan = get_context("fork").Process(target=pool_process._end_with, args=(1,))
    orphan.start()
    orphan.join(60)
    assert orphan.exitcode == 1
    child = get_context("fork").Process(target=pool_process._end_with, args=(os.getpid(),))
    child.start()
    time.sleep(1)
    assert child.is_alive()
    child.kill()
    child.join()
