# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""The sequence of samples that a random transform hands out, made a few at a time."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence
from threading import Lock
from typing import Any

from torch import Tensor

from monai_genaug.generators.base import SampleGenerator
from monai_genaug.generators.seeding import current_rank, current_worker, derive_seed

__all__: list[str] = []


class _LookAhead:
    """One endless sequence of samples per class; threads may share it.

    The samples of class c that were handed out since :meth:`restart` are numbered k = 0, 1, ... and sample k has the
    seed

        s(c, k) = hash("RandGenerativeSample", stream, rank, worker, c, k),    c = -1 without classes.         (1)

    MONAI folds in the rank nowhere, and the worker's seed not with torch's DataLoader or through a SmartCacheDataset.
    By (1) a sample depends neither on the draws of other classes nor on how many are made at once: one call of the
    generator makes ``generator.look_ahead`` of them, and those that nobody asked for yet wait in memory. Copies and
    pickles carry the numbers, not the samples.

    Args:
        generator: makes the samples.
        outputs: names of its outputs that are handed out.
        truncation: of the samples.
    """

    def __init__(self, generator: SampleGenerator, outputs: Sequence[str], truncation: float) -> None:
        self._generator, self._outputs, self._truncation = generator, tuple(outputs), truncation
        self._stream = 0
        self._home_rank = 0
        self._counts: Counter[int] = Counter()
        self._forget()

    def _forget(self) -> None:
        self._lock = Lock()
        self._place = (0, 0)
        self._waiting: dict[int, deque[tuple[int, dict[str, Tensor]]]] = {}

    def __getstate__(self) -> dict[str, Any]:
        with self._lock:
            state = {**self.__dict__, "_counts": self._counts.copy()}
        # a spawned worker has no process group, and RANK only under torchrun
        state["_home_rank"] = current_rank() or self._home_rank
        return {name: value for name, value in state.items() if name not in ("_lock", "_place", "_waiting")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._forget()

    def restart(self, stream: int) -> None:
        """Numbers the samples from 0 again, in another stream of seeds."""
        with self._lock:
            self._stream = stream
            self._counts.clear()
            self._waiting.clear()

    def seed(self, class_id: int | None) -> int:
        """The seed of the next sample of a class, for a sample that is made from an item.

        Args:
            class_id: None for a generator without classes.
        """
        number = _class_number(class_id)
        with self._lock:
            seed = self._seed(self._here(), number, self._counts[number])
            self._counts[number] += 1
        return seed

    def sample(self, class_id: int | None) -> tuple[int, dict[str, Tensor]]:
        """The next sample of a class.

        Args:
            class_id: None for a generator without classes.

        Returns:
            Its seed, and output name -> ``(C, *spatial)``: a view of what was made in one call.

        Raises:
            ValueError: ``generator.look_ahead`` is no positive number.
        """
        number = _class_number(class_id)
        with self._lock:
            if (place := self._here()) != self._place:
                self._waiting.clear()
                self._place = place
            waiting = self._waiting.setdefault(number, deque())
            if not waiting:
                waiting.extend(self._made(class_id))
            self._counts[number] += 1
            return waiting.popleft()

    def _made(self, class_id: int | None) -> list[tuple[int, dict[str, Tensor]]]:
        """The next few samples of a class and their seeds, from one call of the generator."""
        count = self._generator.look_ahead
        if count < 1:
            raise ValueError(f"look_ahead of generator {self._generator.spec.name!r} is {count!r}, allowed: from 1.")
        number = _class_number(class_id)
        first = self._counts[number]
        seeds = [self._seed(self._place, number, k) for k in range(first, first + count)]
        made = self._generator.sample(seeds, class_id, self._truncation)
        return [(seed, {name: made[name][row] for name in self._outputs}) for row, seed in enumerate(seeds)]

    def _here(self) -> tuple[int, int]:
        return current_rank() or self._home_rank, current_worker()

    def _seed(self, place: tuple[int, int], number: int, k: int) -> int:
        """Equation (1)."""
        return derive_seed("RandGenerativeSample", self._stream, *place, number, k)


def _class_number(class_id: int | None) -> int:
    return -1 if class_id is None else class_id
