# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Generations of a pool, and the folder that holds them."""

from __future__ import annotations

import dataclasses
import re
import shutil
from contextlib import suppress
from functools import cached_property
from pathlib import Path

from monai_genaug.generators.pool import SamplePool
from monai_genaug.generators.pool_record import POOL_FILE, PoolRecord
from monai_genaug.generators.seeding import derive_seed

__all__ = ["Generation", "found_generations", "remove_generations"]

_ENTRY = re.compile(r"\.?generation_(\d+)(\.[\w.]+)?")
_REMOVED = ".removed"


class Generation:
    """What one generation is, whether or not it is built.

    Args:
        number: 0 or more.
        first: what generation 0 is made of.
        folder: of all generations.
    """

    def __init__(self, number: int, first: PoolRecord, folder: Path) -> None:
        self.number = number
        self.folder = folder / f"generation_{number}"
        seed = derive_seed("generation", first.seed, number) if number else first.seed
        self.record = dataclasses.replace(first, seed=seed)

    @cached_property
    def pool(self) -> SamplePool:
        """The pool, with its files mapped: whatever happens to them on the disk, this process can read on.

        Raises:
            ValueError: it is not there, or another one is.
        """
        pool = SamplePool(self.folder)
        differences = self.record.differences(pool.record)
        if differences:
            raise ValueError(f"{self.folder} holds another pool: {differences} differ.")
        return pool


def found_generations(folder: Path, first: PoolRecord) -> set[int]:
    """Numbers of the generations in a folder, finished or not.

    Raises:
        ValueError: it holds something else, or a generation of another pool.
    """
    found = set()
    for path in sorted(folder.iterdir()):
        match = _ENTRY.fullmatch(path.name)
        if match is None:
            if path.name.startswith("."):
                continue
            raise ValueError(f"{folder} holds {path.name}, which is no generation of a pool. Use another.")
        if (path / POOL_FILE).is_file() and not path.name.endswith(_REMOVED):
            number = int(match[1])
            differences = Generation(number, first, folder).record.differences(PoolRecord.read(path))
            if differences:
                raise ValueError(f"{path} is of another pool: {differences} differ. Delete it or use another.")
            found.add(number)
    return found


def remove_generations(folder: Path, kept: set[int]) -> None:
    """Removes all generations but some, and what a removal that was killed has left.

    A folder gets another name first: none is ever half there.
    """
    for path in sorted(folder.iterdir()):
        match = _ENTRY.fullmatch(path.name)
        if match is None or (int(match[1]) in kept and not path.name.endswith(_REMOVED)):
            continue
        if path.is_dir() and not path.name.endswith(_REMOVED):
            with suppress(OSError):  # where files that are open cannot be renamed: at the next switch
                path = path.rename(path.with_name(f"{path.name}{_REMOVED}"))
        if path.name.endswith(_REMOVED):
            shutil.rmtree(path, ignore_errors=True)
        elif path.is_file():
            path.unlink(missing_ok=True)
