# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest

from monai_genaug.generators import build_pool, derive_seed
from monai_genaug.generators.pool_generations import Generation, found_generations, remove_generations
from monai_genaug.generators.pool_record import PoolRecord
from tests.toy import toy_generator

SHAPE = (8, 8)


def record(seed: int = 3) -> PoolRecord:
    return PoolRecord(toy_generator(SHAPE).spec, ((None, 2),), seed, 1.0, block_size=1)


def build(folder: Path, number: int) -> None:
    generation = Generation(number, record(), folder)
    build_pool(toy_generator(SHAPE), 2, generation.folder, seed=generation.record.seed, progress=False)


def test_generations_have_seeds_and_folders_of_their_own(tmp_path: Path) -> None:
    generations = [Generation(number, record(), tmp_path) for number in range(3)]
    assert [generation.record.seed for generation in generations] == [
        3,
        derive_seed("generation", 3, 1),
        derive_seed("generation", 3, 2),
    ]
    assert [generation.folder.name for generation in generations] == ["generation_0", "generation_1", "generation_2"]


def test_what_is_found(tmp_path: Path) -> None:
    assert found_generations(tmp_path, record()) == set()
    for number in (0, 12):
        build(tmp_path, number)
    (tmp_path / "generation_4.partial").mkdir()  # a kill before its record
    (tmp_path / "generation_5.removed").mkdir()
    (tmp_path / ".DS_Store").touch()
    assert found_generations(tmp_path, record()) == {0, 12}


def test_another_pool_is_named(tmp_path: Path) -> None:
    build(tmp_path, 1)
    with pytest.raises(ValueError, match=r"generation_1 is of another pool: \['seed'\] differ"):
        found_generations(tmp_path, record(seed=4))
    with pytest.raises(ValueError, match=r"generation_1 holds another pool: \['seed'\] differ"):
        _ = Generation(1, record(seed=4), tmp_path).pool


def test_something_else_is_named(tmp_path: Path) -> None:
    (tmp_path / "generation_one").mkdir()
    with pytest.raises(ValueError, match="holds generation_one, which is no generation of a pool"):
        found_generations(tmp_path, record())


def test_all_but_some_are_removed(tmp_path: Path) -> None:
    for name in ("generation_0", "generation_1", "generation_2", "generation_2.partial", "generation_1.removed", "own"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").touch()
    (tmp_path / ".generation_0.lock").touch()
    (tmp_path / ".generation_1.lock").touch()
    remove_generations(tmp_path, {1, 7})
    assert sorted(path.name for path in tmp_path.iterdir()) == [".generation_1.lock", "generation_1", "own"]
