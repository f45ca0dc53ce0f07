# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
import random
import threading
from typing import Any

import numpy as np
import pytest
import torch
from monai.transforms import Randomizable, RandShiftIntensity

from monai_genaug.generators.global_random_state import own_random_state, seeded_torch_generator

CPU = torch.device("cpu")
SEEDS = [0, 1, 5, 5 + 2**32, 5 + 2**62, 2**63 - 1]


def draw(count: int = 40) -> list[float]:
    """Numbers of all four global states."""
    python = [random.random() for _ in range(count)]
    shared: list[float] = [RandShiftIntensity(1, prob=1)(torch.zeros(1, 1)).item() for _ in range(count)]
    numpys: list[float] = np.random.rand(count).tolist()
    return [*torch.rand(count).tolist(), *torch.randn(count).tolist(), *numpys, *python, *shared]


def state() -> list[Any]:
    words: list[Any] = [np.random.get_state(), Randomizable.R.get_state()]
    return [random.getstate(), *[(w[1].tolist(), w[2:]) for w in words], torch.get_rng_state().tolist()]


def test_a_block_depends_on_its_seed_alone() -> None:
    drawn: list[list[list[float]]] = []
    for outer in (1, 2):
        torch.manual_seed(outer)
        np.random.seed(outer)
        random.seed(outer)
        torch.randn(3)  # leaves a second normal number in torch's cache
        drawn.append([])
        for seed in SEEDS if outer == 1 else reversed(SEEDS):
            with own_random_state(seed, CPU):
                drawn[-1].append(draw())
    assert drawn[0] == drawn[1][::-1]


def test_all_bits_of_the_seed_count_for_each_library() -> None:
    seeds = [0] + [2**bit for bit in range(63)]
    parts: list[set[tuple[float, ...]]] = [set(), set(), set(), set()]
    for seed in seeds:
        with own_random_state(seed, CPU):
            numpys = np.random.rand(4).tolist(), Randomizable.R.rand(4).tolist()
            values = torch.rand(4).tolist(), *numpys, [random.random() for _ in range(4)]
        for part, value in zip(parts, values, strict=True):
            part.add(tuple(value))
    assert [len(part) for part in parts] == [len(seeds)] * 4


def test_numbers_are_uniform_and_normal() -> None:
    with own_random_state(3, CPU):
        uniform, normal = torch.rand(20_000), torch.randn(20_000)
    assert abs(uniform.mean() - 0.5) < 0.01
    assert abs(uniform.var() - 1 / 12) < 0.005
    assert abs(normal.mean()) < 0.03
    assert abs(normal.std() - 1) < 0.03
    firsts = []
    for seed in range(300):
        with own_random_state(seed, CPU):
            firsts.append(torch.rand(2).tolist() + np.random.rand(1).tolist())
    values = np.array(firsts)  # neighbouring seeds are as independent as any
    assert np.abs(values.mean(axis=0) - 0.5).max() < 0.06
    assert np.abs(np.corrcoef(values[:-1].T, values[1:].T) - np.eye(6)).max() < 0.25


def test_the_previous_state_is_restored_also_after_an_error() -> None:
    before = state()
    with own_random_state(7, CPU):
        draw(7)
        torch.manual_seed(3)
        np.random.seed(3)
    with pytest.raises(RuntimeError, match="on purpose"):
        _fail_inside()
    assert state() == before


def _fail_inside() -> None:
    with own_random_state(7, CPU):
        draw(7)
        raise RuntimeError("on purpose")


def test_blocks_nest() -> None:
    with own_random_state(1, CPU):
        first = draw(3)
        with own_random_state(2, CPU):
            inner = draw(3)
        second = draw(3)
    with own_random_state(1, CPU):
        assert [draw(3), draw(3)] == [first, second]
    with own_random_state(2, CPU):
        assert draw(3) == inner


def test_threads_take_turns() -> None:
    def run(seed: int) -> None:
        for _ in range(20):
            with own_random_state(seed, CPU):
                found[seed].append(draw(5))

    found: dict[int, list[list[float]]] = {seed: [] for seed in range(4)}
    threads = [threading.Thread(target=run, args=(seed,)) for seed in found]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for seed, values in found.items():
        with own_random_state(seed, CPU):
            assert values == [draw(5)] * 20


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_child_forked_inside_a_block_of_another_thread_does_not_wait() -> None:
    inside, done = threading.Event(), threading.Event()

    def hold() -> None:
        with own_random_state(1, CPU):
            inside.set()
            done.wait(20)

    thread = threading.Thread(target=hold)
    thread.start()
    assert inside.wait(20)
    child = os.fork()
    if child == 0:
        with own_random_state(2, CPU):
            os._exit(7)
    _, status = os.waitpid(child, 0)
    done.set()
    thread.join()
    assert os.waitstatus_to_exitcode(status) == 7


@pytest.mark.parametrize("seed", [-1, 2**63])
def test_seeds_out_of_range_are_refused(seed: int) -> None:
    with pytest.raises(ValueError, match=r"outside the allowed range"), own_random_state(seed, CPU):
        pass


def test_a_generator_of_its_own_has_the_numbers_of_the_block() -> None:
    for seed in SEEDS:
        with own_random_state(seed, CPU):
            expected = torch.randn(50)
        assert torch.equal(torch.randn(50, generator=seeded_torch_generator(seed, CPU)), expected)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_the_state_of_a_gpu_is_the_blocks_too() -> None:
    device = torch.device("cuda", torch.cuda.current_device())
    before = torch.cuda.get_rng_state(device)
    drawn = []
    for seed in (*SEEDS, *SEEDS):
        with own_random_state(seed, device):
            drawn.append(tuple(torch.rand(8, device=device).tolist()))
    assert torch.equal(torch.cuda.get_rng_state(device), before)
    assert drawn[: len(SEEDS)] == drawn[len(SEEDS) :]
    assert len(set(drawn)) == len(SEEDS)
