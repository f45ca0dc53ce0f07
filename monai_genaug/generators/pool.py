# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Samples on disk, memory-mapped: a data set, and itself a generator."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from monai_genaug.generators.base import SampleGenerator, Samples
from monai_genaug.generators.pool_array import array_path, map_array
from monai_genaug.generators.pool_checksums import check_file_size, damaged_items
from monai_genaug.generators.pool_record import PoolRecord
from monai_genaug.generators.pool_storage import decode
from monai_genaug.generators.seeding import derive_seed

__all__ = ["SamplePool"]


class SamplePool(SampleGenerator):
    """A finished pool, as :func:`build_pool` makes it.

    ``len(pool)`` is the number of items and ``pool[i]`` gives item i, output name -> ``(channels, *spatial_shape)``.
    What is stored as it is read (masks, and images of ``dtype="float32"``) is a view of the file; writing into one
    changes what this process reads, never the file. Other images are converted to float32 in ``value_range``. Opening
    reads none of the items; what has been read lies in the system's cache of files, which all processes share. As a
    generator, a pool returns for a seed the stored item ``derive_seed("pool item", seed)`` modulo the number of items
    (of that class). Its spec is that of the generator that made it, with the classes in the plan and without truncation
    and encoder. Pickling carries the path and a hash of what the pool should hold.

    Args:
        folder: the pool.
        device: where :meth:`sample` returns samples; items are on the CPU.

    Raises:
        ValueError: no finished pool, or files that do not fit its ``pool.json``.

    Example:
        >>> _ = mg.build_pool(mg.load_generator("breast_us_cgan"), {"malignant": 2}, "pool")
        >>> pool = mg.SamplePool("pool")
        >>> len(pool), pool[1]["image"].shape
        (2, torch.Size([1, 28, 28]))
    """

    look_ahead = 1
    """Reading several items at once costs as much as one by one."""

    def __init__(self, folder: str | os.PathLike[str], device: str | torch.device = "cpu") -> None:
        self.folder = Path(folder).resolve()
        self.record = PoolRecord.read(self.folder)
        if not self.record.checksums:
            raise ValueError(f"{self.folder} is no finished pool: run build_pool with the same arguments to finish it.")
        check_file_size(self.record, self.folder)
        self._arrays = {
            name: map_array(array_path(self.folder, name), self.record.shape(name), self.record.stored_dtype(name))
            for name in self.record.outputs
        }
        self._places = _places(self.record)
        super().__init__(self.record.spec, device)

    @property
    def classes(self) -> Sequence[int] | None:
        """Class id of every item, None for an unconditional generator."""
        return self.record.classes

    def __len__(self) -> int:
        return self.record.count

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        if not -len(self) <= index < len(self):
            raise IndexError(f"item {index} of a pool of {len(self)}.")
        return self._read(index)

    def verify(self) -> None:
        """Reads all files, a piece at a time, and compares them with the checksums of their blocks.

        Raises:
            ValueError: a file has changed since the pool was built; the text names the items.
        """
        damaged = damaged_items(self.record, self.folder)
        if damaged:
            places = ", ".join(f"{path.name} items {items[0]} to {items[-1]}" for path, items in damaged)
            raise ValueError(
                f"{self.folder} is damaged: {places} differ from what was built. Delete it and build again."
            )

    def _generate(self, seeds: list[int], classes: list[int] | None, truncation: float) -> Samples:
        numbers: Sequence[int | None] = classes or [None] * len(seeds)
        places = [self._places[number] for number in numbers]
        rows = [
            first + derive_seed("pool item", seed) % count for seed, (first, count) in zip(seeds, places, strict=True)
        ]
        return {name: values.to(self._device) for name, values in self._read(rows).items()}

    def _read(self, rows: int | list[int]) -> Samples:
        """The item at a row, or a copy of the items at several."""
        outputs = self._spec.outputs
        return {name: decode(array[rows], outputs[name]) for name, array in self._arrays.items()}

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


def _places(record: PoolRecord) -> dict[int | None, tuple[int, int]]:
    """Class id -> (first item, number of items)."""
    places: dict[int | None, tuple[int, int]] = {}
    start = 0
    for number, count in record.plan:
        places[number] = (start, count)
        start += count
    return places
