# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Samples on disk, memory-mapped: a data set, and itself a generator."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from monai_genaug.generators.base import SampleGenerator, Samples
from monai_genaug.generators.pool_record import PoolRecord
from monai_genaug.generators.seeding import derive_seed
from monai_genaug.weights import file_sha256

__all__ = ["SamplePool", "array_path"]


class SamplePool(SampleGenerator):
    """A finished pool, as :func:`build_pool` makes it.

    ``len(pool)`` is the number of items and ``pool[i]`` gives item i, output name -> ``(channels, *spatial_shape)``.
    These tensors are views of the file; writing into one changes what this process reads, never the file. As a
    generator, a pool returns for a seed the stored item ``derive_seed("pool item", seed)`` modulo the number of items
    (of that class). Its spec is that of the generator that made it, with the classes in the plan and without truncation
    and encoder. Pickling carries the path and a hash of what the pool should hold.

    Args:
        folder: the pool.
        device: where :meth:`sample` returns samples; items are on the CPU.

    Raises:
        ValueError: no finished pool, or files that do not fit its ``pool.json``.
    """

    look_ahead = 1
    """Reading several items at once costs as much as one by one."""

    def __init__(self, folder: str | os.PathLike[str], device: str | torch.device = "cpu") -> None:
        self.folder = Path(folder).resolve()
        self.record = PoolRecord.read(self.folder)
        if not self.record.checksums:
            raise ValueError(f"{self.folder} is no finished pool: run build_pool with the same arguments to finish it.")
        self._arrays: dict[str, NDArray[np.generic]] | None = None
        self._first, classes = _places(self.record)
        identity = self.record.identity
        spec = self.record.generator.replace(truncation=False, encodes=(), sha256=identity, classes=classes)
        super().__init__(spec, device)
        for name in self._spec.outputs:
            self._open(name)

    @property
    def classes(self) -> list[int] | None:
        """Class id of every item, None for an unconditional generator."""
        return self.record.classes

    def __len__(self) -> int:
        return self.record.count

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        if not -len(self) <= index < len(self):
            raise IndexError(f"item {index} of a pool of {len(self)}.")
        return {name: torch.from_numpy(array[index]) for name, array in self._mapped().items()}

    def verify(self) -> None:
        """Reads all files and compares their hashes with ``pool.json``.

        Raises:
            ValueError: a file has changed since the pool was built.
        """
        for name, checksum in self.record.checksums.items():
            found = file_sha256(array_path(self.folder, name))
            if found != checksum:
                raise ValueError(f"{array_path(self.folder, name)}: sha256 is {found}, expected {checksum}.")

    def _generate(self, seeds: list[int], classes: list[int] | None, truncation: float) -> Samples:
        numbers: Sequence[int | None] = classes or [None] * len(seeds)
        places = [self._first[number] for number in numbers]
        rows = [
            first + derive_seed("pool item", seed) % count for seed, (first, count) in zip(seeds, places, strict=True)
        ]
        return {name: torch.from_numpy(array[rows]).to(self._device) for name, array in self._mapped().items()}

    def _mapped(self) -> dict[str, NDArray[np.generic]]:
        if self._arrays is None:  # two threads may both do this, with the same result
            self._arrays = {name: self._open(name) for name in self._spec.outputs}
        return self._arrays

    def _open(self, name: str) -> NDArray[np.generic]:
        path, output = array_path(self.folder, name), self._spec.outputs[name]
        try:
            # copy-on-write: torch wants writable memory, and writing into a read-only map would kill the process
            array: NDArray[np.generic] = np.lib.format.open_memmap(path, mode="c")
        except (OSError, ValueError) as error:
            raise ValueError(f"{path} is missing or damaged: {error}") from error
        shape = (self.record.count, output.channels, *self._spec.spatial_shape)
        if array.shape != shape or array.dtype != np.dtype(output.dtype):
            raise ValueError(f"{path} holds {array.dtype} {array.shape}, expected {output.dtype} {shape}.")
        return array

    def __deepcopy__(self, memo: dict[int, Any]) -> SamplePool:
        return self

    def __getstate__(self) -> dict[str, Any]:
        return {
            "folder": self.folder,
            "device": self._device,
            "identity": self.record.identity,
            "batch_size": self.batch_size,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        SamplePool.__init__(self, state["folder"], state["device"])
        self.batch_size = state["batch_size"]
        if self.record.identity != state["identity"]:
            raise ValueError(f"{self.folder} holds another pool than the one that was pickled.")


def array_path(folder: Path, name: str) -> Path:
    """The file of one output."""
    return folder / f"{name}.npy"


def _places(record: PoolRecord) -> tuple[dict[int | None, tuple[int, int]], dict[int, str] | None]:
    """Class id -> (first item, number of items), and the names of these classes."""
    first: dict[int | None, tuple[int, int]] = {}
    start = 0
    for number, count in record.plan:
        first[number] = (start, count)
        start += count
    names = record.generator.classes
    return first, None if names is None else {number: names[number] for number in first if number is not None}
