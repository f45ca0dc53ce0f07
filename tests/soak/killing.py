# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Builds of pools that are killed at random moments."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import ignite.distributed as idist
import torch

from monai_genaug.generators import SampleGenerator, SamplePool, build_pool
from monai_genaug.generators.base import Samples
from tests.generators.pool_tools import SHAPE, content
from tests.toy import toy_generator

SECONDS_PER_BLOCK = 0.01
BLOCK_SIZE = 4
BLOCKS_PER_KILL = 20  # so many that no build ends before its last kill
LONGEST_WAIT = 0.06  # seconds before a kill


class Slow(SampleGenerator):
    """The toy generator, which takes its time for a block."""

    def __init__(self) -> None:
        self.inner = toy_generator(SHAPE)
        super().__init__(self.inner.spec)

    def _generate(self, seeds: list[int], classes: list[int] | None, truncation: float) -> Samples:
        time.sleep(SECONDS_PER_BLOCK)
        return self.inner.sample(seeds, classes, truncation)


def arguments(kills: int) -> dict[str, Any]:
    """Of a pool that is large enough for so many kills."""
    blocks = BLOCKS_PER_KILL * kills
    return {"plan": blocks * BLOCK_SIZE - 1, "block_size": BLOCK_SIZE, "dtype": "uint8", "progress": False}


def kill_and_resume(root: Path, kills: int, n_ranks: int, seed: int) -> None:
    """Builds a pool with some ranks, kills all of them at a random moment, and so on; the last build ends.

    Asserts that the bytes are those of an undisturbed build by one process.
    """
    draw = random.Random(seed)
    options = {**arguments(kills), "folder": root / "pool"}
    for number in range(kills):
        ranks = _started(_build_as_rank if n_ranks > 1 else _build, n_ranks, root / f"store{number}", options)
        time.sleep(draw.uniform(0, LONGEST_WAIT))
        _kill(ranks)
    ranks = _started(_build_as_rank if n_ranks > 1 else _build, n_ranks, root / "store", options)
    for rank in ranks:
        rank.join(120)
    assert [rank.exitcode for rank in ranks] == [0] * n_ranks
    _check(root, options)


def kill_one_of_two_builders(root: Path, kills: int, seed: int) -> None:
    """Two builders of one folder; whichever works or waits is killed at a random moment, and a new one comes."""
    draw = random.Random(seed)
    options = {**arguments(2 * kills), "folder": root / "pool"}  # one goes on while another one starts
    builders = [_started(_build, 1, root, options)[0] for _ in range(2)]
    for _ in range(kills):
        time.sleep(draw.uniform(0, LONGEST_WAIT))
        _kill([builders.pop(draw.randrange(2))])
        builders += _started(_build, 1, root, options)
    for builder in builders:
        builder.join(120)
    assert [builder.exitcode for builder in builders] == [0, 0]
    _check(root, options)


def kill_one_rank(root: Path, kills: int, seed: int) -> None:
    """Of two ranks one is killed: the other ends with an error, soon; the last build ends."""
    draw = random.Random(seed)
    options = {**arguments(kills), "folder": root / "pool"}
    for number in range(kills):
        ranks = _started(_build_as_rank, 2, root / f"store{number}", options)
        time.sleep(draw.uniform(0, LONGEST_WAIT))
        victim = draw.randrange(2)
        _kill([ranks[victim]])
        ranks[1 - victim].join(60)
        assert ranks[1 - victim].exitcode == 1
    build_pool(toy_generator(SHAPE), **options)
    _check(root, options)


def _started(function: Callable[..., None], n_ranks: int, store: Path, options: dict[str, Any]) -> list[BaseProcess]:
    """The processes, each of which has come to the first line of its build."""
    context = get_context("fork")
    ready = [context.Event() for _ in range(n_ranks)]
    ranks: list[BaseProcess] = [
        context.Process(target=function, args=(rank, n_ranks, store, ready[rank], options), daemon=True)
        for rank in range(n_ranks)
    ]
    for rank in ranks:
        rank.start()
    assert all(event.wait(60) for event in ready)
    return ranks


def _build(rank: int, n_ranks: int, store: Path, ready: Any, options: dict[str, Any]) -> None:
    generator = Slow()
    ready.set()
    build_pool(generator, **options)


def _build_as_rank(rank: int, n_ranks: int, store: Path, ready: Any, options: dict[str, Any]) -> None:
    torch.set_num_threads(1)
    group = torch.distributed.FileStore(str(store), n_ranks)
    torch.distributed.init_process_group("gloo", store=group, rank=rank, world_size=n_ranks)
    # ignite forms groups at its first use; a kill in that moment is noticed only after their timeout
    assert idist.get_world_size() == n_ranks
    torch.distributed.barrier()
    _build(rank, n_ranks, store, ready, options)
    torch.distributed.barrier()


def _kill(processes: list[BaseProcess]) -> None:
    assert all(process.is_alive() for process in processes)
    for process in processes:
        process.kill()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [-signal.SIGKILL] * len(processes)


def _check(root: Path, options: dict[str, Any]) -> None:
    SamplePool(options["folder"]).verify()
    build_pool(toy_generator(SHAPE), **{**options, "folder": root / "undisturbed"})
    assert content(options["folder"]) == content(root / "undisturbed")
    assert not options["folder"].with_name("pool.partial").exists()
