# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""A pool whose samples are renewed during a training."""

from __future__ import annotations

import logging
import operator
import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from monai_genaug.generators.background_build import BackgroundBuild
from monai_genaug.generators.base import SampleGenerator, Samples, checked_seeds
from monai_genaug.generators.class_labels import ClassLabel
from monai_genaug.generators.pool import SamplePool
from monai_genaug.generators.pool_building import build_pool
from monai_genaug.generators.pool_generations import Generation, found_generations, remove_generations
from monai_genaug.generators.pool_ranks import Ranks
from monai_genaug.generators.pool_record import PoolRecord, resolve_plan
from monai_genaug.generators.pool_storage import StorageType
from monai_genaug.generators.spec import GeneratorSpec

__all__ = ["RefreshedPool"]

_POLL_SECONDS = 60.0  # well below the timeout of any process group

_logger = logging.getLogger(__name__)


class RefreshedPool(SampleGenerator):
    """A pool in generations: the same plan made from other seeds, one after the other.

    Reads like the :class:`SamplePool` of the present generation: ``len(pool)``, ``pool[i]``, ``classes``, ``record``,
    ``sample``. Generation 0 is that of :func:`build_pool` with ``seed``, generation g > 0 the one with
    ``derive_seed("generation", seed, g)``; its samples are a function of the arguments and of g alone.
    :class:`~monai_genaug.handlers.PoolRefresh` changes the generation with the epochs of a trainer.

    The present generation's number lies in shared memory: loader workers that live on see a change, forked ones and
    spawned ones. Each process opens a generation when it first reads from it. The one before stays on disk until the
    next :meth:`switch_to`, for those who are reading it in that moment; who comes too late even for that opens the
    present one. While the next one is built, there are thus up to three pools on the disk.

    :meth:`prepare` builds in a process of its own, with one thread and a low priority, on the generator's device. A
    generator on a GPU therefore needs memory there a second time.

    A folder belongs to one run at a time. What a run that was killed has left there is used, and otherwise removed at
    the next :meth:`switch_to`. Where it has left a later generation than 0, generation 0 is built only when it is
    needed: a run that goes on elsewhere needs it no more.

    Copies and pickles, such as those in loader workers, can read; only the process that made the pool can change the
    generation. A pickle that doesn't go to a worker holds the number as it was.

    Args:
        generator: makes the items. Must be picklable, with a class that another process can import.
        plan: see :func:`build_pool`, as for ``seed``, ``truncation`` and ``dtype``.
        folder: for the generations, in an existing folder.
        seed: another one gives other items in all generations.
        truncation: passed to the generator.
        dtype: how images are stored.
        progress: show a progress bar where this process builds.
        distributed: whether the ranks of a process group share ``folder``. All of them must then make the pool and
            call :meth:`switch_to` together; rank 0 alone prepares. Otherwise each rank has a folder of its own.

    Raises:
        ValueError: an argument that is not allowed, a generator that cannot be pickled, or a ``folder`` with something
            else in it. Nothing is written then.

    Example:
        >>> pool = mg.RefreshedPool(mg.load_generator("breast_us_cgan"), {"malignant": 2}, "pool")
        >>> pool.switch_to(1)  # builds it, unless pool.prepare(1) did so in the background
        >>> pool.generation
        1
    """

    look_ahead = 1
    """Reading several items at once costs as much as one by one."""

    def __init__(
        self,
        generator: SampleGenerator,
        plan: int | Mapping[ClassLabel, int],
        folder: str | os.PathLike[str],
        seed: int = 0,
        truncation: float = 1.0,
        dtype: StorageType = "float32",
        progress: bool = True,
        distributed: bool = True,
    ) -> None:
        generator._check_truncation(truncation)
        pairs = resolve_plan(plan, generator.spec)
        first = PoolRecord(
            generator.spec, pairs, checked_seeds([seed])[0], float(truncation), block_size=1, dtype=dtype
        )
        self._restore(Path(folder).resolve(), first, torch.zeros((), dtype=torch.int64).share_memory_())
        self._generator, self._progress = generator, progress
        self._distributed, self._ranks = distributed, Ranks(distributed)
        self._background: BackgroundBuild | None = BackgroundBuild(generator)
        self._owner = os.getpid()
        is_new = not self.folder.exists()
        try:
            if self._from_leader(self._look_around) != "later":
                self._build(self._current, distributed)
        except BaseException:
            if is_new:
                with suppress(OSError):  # it holds something
                    self.folder.rmdir()
            raise

    def _restore(self, folder: Path, first: PoolRecord, counter: Tensor) -> None:
        self.folder = folder
        self._first, self._counter = first, counter
        self._latest = Generation(0, first, folder)
        self._background = None
        super().__init__(self._latest.record.spec)

    @property
    def generation(self) -> int:
        """Number of the present generation."""
        return int(self._counter)

    @property
    def present(self) -> SamplePool:
        """The present generation. Who reads several things of it should take it once."""
        while True:
            current = self._current
            try:
                return current.pool
            except (OSError, ValueError) as error:
                if current.number != self.generation:
                    continue  # it went while this process opened it
                if current.folder.exists():
                    raise
                if not self._is_owner:
                    raise ValueError(
                        f"{current.folder} is not there: switch_to({current.number}) builds it, in the process that "
                        "made the RefreshedPool."
                    ) from error
            self._build(current, distributed=False)

    @property
    def spec(self) -> GeneratorSpec:
        """That of the present generation."""
        return self.record.spec

    @property
    def record(self) -> PoolRecord:
        """What the present generation is made of."""
        return self._current.record

    @property
    def classes(self) -> Sequence[int] | None:
        """Class id of every item, the same in all generations; None for an unconditional generator."""
        return self._first.classes

    def __len__(self) -> int:
        return self._first.count

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        return self.present[index]

    def prepare(self, generation: int) -> None:
        """Starts to build a generation in the background, unless it is there or being built; of ranks, rank 0 does.

        Another one that is being built is left unfinished.

        Raises:
            ValueError: no number of a generation.
            RuntimeError: this is a copy in another process.
        """
        wanted = self._numbered(generation)
        background = self._own_background()
        if self._ranks.is_first and not wanted.folder.exists():
            background.start(wanted.folder, {"seed": wanted.record.seed, **self._fixed_arguments})

    def switch_to(self, generation: int) -> None:
        """Makes a generation the present one, in this process and in the copies of this object in loader workers.

        Waits for it where it is being prepared, and builds it here, on all ranks together, where it is not.

        Raises:
            ValueError: no number of a generation, or what :func:`build_pool` raises.
            RuntimeError: this is a copy in another process, or the background process failed; switching again then
                builds here.
        """
        wanted = self._numbered(generation)
        self._own_background()
        self._wait_for(wanted)
        self._build(wanted, self._distributed)
        kept = {self.generation, generation, generation + 1}
        self._latest = wanted
        self._counter.fill_(generation)
        if self._ranks.is_first:
            remove_generations(self.folder, kept)

    def stop(self) -> None:
        """Ends what :meth:`prepare` started; preparing the same generation again goes on with it."""
        self._own_background().stop()

    def _generate(self, seeds: list[int], classes: list[int] | None, truncation: float) -> Samples:
        return self.present._generate(seeds, classes, truncation)

    @property
    def _current(self) -> Generation:
        current, number = self._latest, self.generation
        if current.number != number:  # two threads may both do this, with the same result
            current = self._latest = Generation(number, self._first, self.folder)
        return current

    def _numbered(self, generation: int) -> Generation:
        number = operator.index(generation)
        if number < 0:
            raise ValueError(f"generation is {generation}, allowed: 0 or more.")
        return self._current if number == self.generation else Generation(number, self._first, self.folder)

    @property
    def _is_owner(self) -> bool:
        return self._background is not None and self._owner == os.getpid()

    def _own_background(self) -> BackgroundBuild:
        if self._background is None or not self._is_owner:
            raise RuntimeError("only the process that made a RefreshedPool can change its generation, not a copy.")
        return self._background

    @property
    def _fixed_arguments(self) -> dict[str, Any]:
        """Those of :func:`build_pool` that all generations share."""
        pairs, conditional = self._first.plan, self._first.generator.classes is not None
        plan = dict(pairs) if conditional else pairs[0][1]
        return {"plan": plan, "truncation": self._first.truncation, "dtype": self._first.dtype}

    def _build(self, wanted: Generation, distributed: bool) -> SamplePool:
        """Builds a generation here unless it is there, and opens it."""
        build_pool(
            self._generator,
            folder=wanted.folder,
            seed=wanted.record.seed,
            progress=self._progress,
            distributed=distributed,
            **self._fixed_arguments,
        )
        return wanted.pool

    def _wait_for(self, wanted: Generation) -> None:
        """Until the background, where it builds this generation, has finished it."""
        if self._from_leader(lambda: self._preparing(wanted, 0.0)):
            began = time.monotonic()
            while self._from_leader(lambda: self._preparing(wanted, _POLL_SECONDS)):
                pass
            seconds = time.monotonic() - began
            _logger.warning("waited %.1f s for generation %d of %s", seconds, wanted.number, self.folder)

    def _preparing(self, wanted: Generation, timeout: float) -> str:
        """Not empty if the background still builds it after ``timeout`` seconds."""
        background = self._own_background()
        if background.folder != wanted.folder:
            if not wanted.folder.exists():
                background.stop()  # it would take the time of what is built here now
            return ""
        return "" if background.finished(timeout) else "building"

    def _look_around(self) -> str:
        """Makes the folder, or checks what is there; ``"later"`` if that is a later generation, but not 0."""
        self.folder.mkdir(exist_ok=True)
        later = found_generations(self.folder, self._first) - {0}
        return "later" if later and not self._latest.folder.exists() else ""

    def _from_leader(self, action: Callable[[], str]) -> str:
        """What ``action`` returns on rank 0, on all ranks; what it raises there is raised on all."""
        answer = ""
        with self._ranks.step():
            if self._ranks.is_first:
                answer = action()
        return str(self._ranks.share(answer)[0])

    def __deepcopy__(self, memo: dict[int, Any]) -> RefreshedPool:
        return self

    def __getstate__(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in ("folder", "_first", "_counter", "batch_size")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._restore(state["folder"], state["_first"], state["_counter"])
        self.batch_size = state["batch_size"]
