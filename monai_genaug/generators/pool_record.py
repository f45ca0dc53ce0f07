# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""What ``pool.json`` says: which generator, which items, from which seeds."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import operator
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from monai_genaug.generators.class_labels import ClassLabel, resolve_class_labels
from monai_genaug.generators.pool_classes import PlannedClasses
from monai_genaug.generators.pool_storage import StorageType, check_storage_type, stored_dtype
from monai_genaug.generators.seeding import derive_seed
from monai_genaug.generators.spec import GeneratorSpec

__all__ = ["POOL_FILE", "POOL_FORMAT", "PoolRecord", "resolve_plan", "usual_block_size"]

POOL_FILE = "pool.json"
POOL_FORMAT = "monai_genaug.pool/1"
_BLOCK_BYTES = 2**22  # of a usual block: writing them takes longer than waiting for the disk
_NOT_IDENTITY = ("block_size", "checksums")


@dataclass(frozen=True)
class PoolRecord:
    """The content of ``pool.json``.

    Args:
        generator: spec of the generator that made the items.
        plan: (class id or None, count) in the order of the items, without empty classes.
        seed: item i has the seed ``derive_seed("pool", seed, i)``.
        truncation: passed to the generator.
        block_size: items per block; neither this nor ``checksums`` decides which items there are.
        dtype: how images are stored; masks have the type that the generator's spec says.
        checksums: BLAKE2b hash of the file with the blocks' checksums; empty until the pool is finished.

    Raises:
        ValueError: a ``dtype`` that is not allowed, or that cannot hold the generator's values.
    """

    generator: GeneratorSpec
    plan: tuple[tuple[int | None, int], ...]
    seed: int
    truncation: float
    block_size: int
    dtype: StorageType = "float32"
    checksums: str = ""

    def __post_init__(self) -> None:
        check_storage_type(self.dtype, self.generator)

    @cached_property
    def count(self) -> int:
        """Number of items."""
        return sum(count for _, count in self.plan)

    @property
    def classes(self) -> PlannedClasses | None:
        """Class id of every item, None for an unconditional generator."""
        pairs = [(number, count) for number, count in self.plan if number is not None]
        return PlannedClasses(tuple(pairs)) if pairs else None

    @property
    def n_blocks(self) -> int:
        """Number of blocks; the last one may be shorter."""
        return -(-self.count // self.block_size)

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the outputs, in the generator's order."""
        return tuple(self.generator.outputs)

    @cached_property
    def identity(self) -> str:
        """A hash of everything that decides which items the pool holds."""
        fields = {"format": POOL_FORMAT, **self._identifying(), "generator": self.generator.to_dict()}
        return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()

    @cached_property
    def spec(self) -> GeneratorSpec:
        """That of the pool as a generator: the classes in the plan, no truncation, no encoder."""
        names = self.generator.classes
        classes = None if names is None else {number: names[number] for number, _ in self.plan if number is not None}
        return self.generator.replace(truncation=False, encodes=(), sha256=self.identity, classes=classes)

    def block_items(self, block: int) -> range:
        """The items of a block."""
        return range(block * self.block_size, min((block + 1) * self.block_size, self.count))

    def shape(self, name: str) -> tuple[int, ...]:
        """``(count, channels, *spatial_shape)`` of an output's file."""
        return (self.count, self.generator.outputs[name].channels, *self.generator.spatial_shape)

    def stored_dtype(self, name: str) -> np.dtype[Any]:
        """The type of an output's file."""
        return stored_dtype(self.generator.outputs[name], self.dtype)

    def item_bytes(self, name: str) -> int:
        """What one item of an output takes on disk."""
        return self.stored_dtype(name).itemsize * math.prod(self.shape(name)[1:])

    def item_seed(self, item: int) -> int:
        """The seed of item ``item``."""
        return derive_seed("pool", self.seed, item)

    def differences(self, other: PoolRecord) -> list[str]:
        """Names of the fields by which two pools differ."""
        mine, others = self._identifying(), other._identifying()
        return [name for name in mine if mine[name] != others[name]]

    def to_json(self) -> str:
        """The text of ``pool.json``: a line for each field."""
        own = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        lines = (
            f'  "{name}": {json.dumps(value, default=vars)}' for name, value in {"format": POOL_FORMAT, **own}.items()
        )
        return "{\n" + ",\n".join(lines) + "\n}"

    @classmethod
    def read(cls, folder: Path) -> PoolRecord:
        """Reads ``pool.json``.

        Raises:
            ValueError: there is none, or it is not what :meth:`to_json` writes.
        """
        path = folder / POOL_FILE
        if not path.is_file():
            raise ValueError(f"{folder} is no finished pool: it has no {POOL_FILE}.")
        try:
            plain = json.loads(path.read_bytes())
            if plain.pop("format", None) != POOL_FORMAT:
                raise ValueError(f"format is not {POOL_FORMAT!r}.")
            plain["generator"] = GeneratorSpec.from_dict(plain["generator"])
            plain["plan"] = tuple((number, int(count)) for number, count in plain["plan"])
            if not isinstance(plain.get("checksums"), str):
                raise ValueError(f"checksums is {plain.get('checksums')!r}, expected a hash. Build the pool again.")
            return cls(**plain)
        except (ValueError, TypeError, AttributeError, KeyError) as error:
            raise ValueError(f"{path}: {error}") from error

    def _identifying(self) -> dict[str, Any]:
        names = [field.name for field in dataclasses.fields(self) if field.name not in _NOT_IDENTITY]
        return {name: getattr(self, name) for name in names}


def resolve_plan(plan: int | Mapping[ClassLabel, int], spec: GeneratorSpec) -> tuple[tuple[int | None, int], ...]:
    """A plan as users write it -> (class id or None, count) in the order of the items.

    Args:
        plan: a number of items for an unconditional generator, {class id or name: number} for a conditional one.
        spec: the generator's.

    Raises:
        ValueError: the wrong one of the two, an unknown or repeated class, a count that is negative or not whole, or
            no items at all.
    """
    if isinstance(plan, Mapping) != (spec.classes is not None):
        allowed = "one number of items" if spec.classes is None else f"{{class: number}} with classes {spec.classes}"
        raise ValueError(f"plan is {plan!r}, generator {spec.name!r} needs {allowed}.")
    pairs: list[tuple[int | None, int]] = []
    for label, count in plan.items() if isinstance(plan, Mapping) else [(None, plan)]:
        ids = None if label is None else resolve_class_labels(label, 1, spec)
        if isinstance(count, bool) or not hasattr(count, "__index__") or count < 0:
            raise ValueError(f"plan is {plan!r}: {count!r} is no number of items.")
        pairs.append((ids[0] if ids else None, operator.index(count)))
    if len({number for number, _ in pairs}) != len(pairs):
        raise ValueError(f"plan {plan!r} names a class twice.")
    if not any(count for _, count in pairs):
        raise ValueError(f"plan {plan!r} has no items.")
    return tuple(pair for pair in pairs if pair[1])


def usual_block_size(spec: GeneratorSpec, dtype: StorageType) -> int:
    """Items per block: 32 or a multiple of it, of not more than 4 MiB and 1,024 items.

    Generators make 32 at once, and a last part of few would take them as long.
    """
    channels = {name: (output.channels, stored_dtype(output, dtype)) for name, output in spec.outputs.items()}
    item = sum(number * kind.itemsize for number, kind in channels.values()) * math.prod(spec.spatial_shape)
    return 32 * min(max(1, _BLOCK_BYTES // (32 * item)), 32)
