# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import copy
import pickle
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch

from monai_genaug.generators import LatentGenerator, SampleGenerator, build_pool, derive_seed
from monai_genaug.transforms.look_ahead import _LookAhead
from tests.toy import ToyConditionalGenerator


def expected(class_id: int, k: int, stream: int = 5, rank: int = 0, worker: int = 0) -> int:
    return derive_seed("RandGenerativeSample", stream, rank, worker, class_id, k)


class Counting(ToyConditionalGenerator):
    """2D images of two classes; notes seeds and class of every call."""

    def __init__(self, look_ahead: int = 8, mask: bool = False) -> None:
        super().__init__((16, 16), mask, ("benign", "malignant"))
        self.look_ahead = look_ahead
        self.calls: list[tuple[list[int], Any]] = []

    def sample(self, seeds: Sequence[int], class_label: Any = None, truncation: float = 1.0) -> dict[str, torch.Tensor]:
        made = super().sample(seeds, class_label, truncation)
        self.calls.append((list(seeds), class_label))
        return made


def sequence(generator: SampleGenerator, outputs: tuple[str, ...] = ("image",), stream: int = 5) -> _LookAhead:
    samples = _LookAhead(generator, outputs, 1.0)
    samples.restart(stream)
    return samples


@pytest.mark.parametrize("look_ahead", [1, 3, 8])
def test_seeds_are_those_of_equation_1_however_far_one_looks(look_ahead: int) -> None:
    generator = Counting(look_ahead)
    samples = sequence(generator)
    order = [0, 1, 1, 0, 1, 1, 1, 0, 1, 1, 1]
    drawn = [(c, *samples.sample(c)) for c in order]
    for class_id in (0, 1):
        seeds = [seed for c, seed, _ in drawn if c == class_id]
        assert seeds == [expected(class_id, k) for k in range(len(seeds))]
    assert [len(seeds) for seeds, _ in generator.calls] == [look_ahead] * len(generator.calls)
    assert len(generator.calls) == -(-3 // look_ahead) + -(-8 // look_ahead)
    for class_id, seed, tensors in drawn:
        torch.testing.assert_close(tensors["image"], generator.sample([seed], class_id)["image"][0], rtol=0, atol=1e-4)


def test_seeds_alone_are_the_same_and_make_nothing() -> None:
    generator = Counting()
    samples = sequence(generator)
    assert [samples.seed(1) for _ in range(3)] == [expected(1, k) for k in range(3)]
    assert generator.calls == []


def test_a_restart_drops_what_waits() -> None:
    generator = Counting()
    samples = sequence(generator)
    first = [samples.sample(0)[0] for _ in range(3)]
    samples.restart(6)
    assert [samples.sample(0)[0] for _ in range(3)] == [expected(0, k, stream=6) for k in range(3)]
    samples.restart(5)
    assert [samples.sample(0)[0] for _ in range(3)] == first
    assert len(generator.calls) == 3


def test_another_rank_gets_none_of_what_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    samples = sequence(Counting())
    seeds = []
    for rank in ("0", "1", "0"):
        monkeypatch.setenv("RANK", rank)
        seeds.append(samples.sample(0)[0])
    assert seeds == [expected(0, k, rank=rank) for k, rank in enumerate((0, 1, 0))]


def test_threads_share_one_sequence() -> None:
    generator = Counting()
    samples = sequence(generator)
    with ThreadPoolExecutor(8) as threads:
        seeds = list(threads.map(lambda n: samples.sample(n % 2)[0], range(160)))
    assert sorted(seeds) == sorted(expected(c, k) for c in (0, 1) for k in range(80))
    assert len(generator.calls) == 20


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda samples: pickle.loads(pickle.dumps(samples))])
def test_copies_go_on_where_the_original_is_but_carry_no_samples(duplicate: Any, plain: LatentGenerator) -> None:
    samples = sequence(plain)
    first = len(pickle.dumps(samples))
    seeds = [samples.sample(None)[0] for _ in range(3)]
    copied = duplicate(samples)
    assert len(pickle.dumps(samples)) < first + 100
    seeds += [copied.sample(None)[0] for _ in range(2)]
    assert seeds == [expected(-1, k) for k in range(5)]
    assert samples.sample(None)[0] == seeds[3]


def test_what_fails_uses_no_number() -> None:
    samples = sequence(Counting())
    with pytest.raises(ValueError, match=r"7 is unknown.*malignant"):
        samples.sample(7)
    assert samples.sample(1)[0] == expected(1, 0)
    assert samples.seed(7) == expected(7, 0)


@pytest.mark.parametrize("number", [0, -2])
def test_a_number_that_makes_nothing_is_refused(number: int) -> None:
    with pytest.raises(ValueError, match=rf"look_ahead of generator 'toy' is {number}, allowed: from 1"):
        sequence(Counting(number)).sample(0)


def test_only_the_outputs_that_are_asked_for_wait() -> None:
    _, tensors = sequence(Counting(mask=True), ("mask",)).sample(0)
    assert {name: tuple(tensor.shape) for name, tensor in tensors.items()} == {"mask": (1, 16, 16)}


def test_generators_say_how_far_one_looks(plain: LatentGenerator, tmp_path: Path) -> None:
    pool = build_pool(plain, 2, tmp_path / "pool", progress=False)
    assert (plain.look_ahead, pool.look_ahead) == (8, 1)
