# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Generators that break, wait and take notes, for tests of pools."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from monai_genaug.generators import SampleGenerator
from monai_genaug.generators.base import Samples
from monai_genaug.generators.pool_record import POOL_FILE
from monai_genaug.generators.pool_writing import PartialPool
from tests.toy import toy_generator

SHAPE = (8, 8)


class Failing(SampleGenerator):
    """The toy generator, which breaks at its n-th block and counts the blocks it makes."""

    def __init__(self, fail_at: int | None = None, classes: Any = None, dtype: torch.dtype = torch.float32) -> None:
        self.inner = toy_generator(SHAPE, classes=classes)
        super().__init__(self.inner.spec)
        self.fail_at, self.dtype, self.blocks = fail_at, dtype, 0

    def _generate(self, seeds: list[int], classes: list[int] | None, truncation: float) -> Samples:
        self.blocks += 1
        if self.blocks == self.fail_at:
            raise KeyboardInterrupt
        samples = self.inner.sample(seeds, classes, truncation)
        return {**samples, "image": samples["image"].to(self.dtype)}


class Noting(Failing):
    """Notes every call in a file; waits, before the n-th one, for another file."""

    def __init__(self, log: Path, go: Path | None = None, wait_at: int = 3) -> None:
        super().__init__()
        self.log, self.go, self.wait_at = log, go, wait_at

    def _generate(self, seeds: list[int], classes: list[int] | None, truncation: float) -> Samples:
        if self.blocks == self.wait_at - 1 and self.go is not None:
            wait_for(self.go.exists)
        with self.log.open("a") as file:
            file.write("x")
        return super()._generate(seeds, classes, truncation)


def content(folder: Path) -> dict[str, bytes]:
    """File name -> bytes."""
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def are_missing(partial: Path, blocks: list[int]) -> bool:
    """Whether these blocks of a growing pool, and no other ones, are still to be written."""
    return (partial / POOL_FILE).is_file() and PartialPool(partial).missing == blocks


def wait_for(condition: Callable[[], bool]) -> None:
    """Waits up to a minute."""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)
