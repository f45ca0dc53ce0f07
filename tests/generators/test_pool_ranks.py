# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from monai_genaug.generators import build_pool
from monai_genaug.generators.base import Samples
from monai_genaug.generators.pool_ranks import Ranks
from monai_genaug.generators.pool_writing import PartialPool
from tests.generators.pool_tools import SHAPE, Failing, Noting, content
from tests.ranks import run_ranks
from tests.toy import toy_generator

PLAN: dict[str, Any] = {"plan": 10, "block_size": 2}


def test_one_process_is_rank_0_of_1() -> None:
    for ranks in (Ranks(True), Ranks(False)):
        assert (ranks.rank, ranks.size, ranks.is_first) == (0, 1, True)
        assert ranks.share({"a": [1]}) == [{"a": [1]}]
        with ranks.step():
            pass
        with pytest.raises(KeyError, match="mine"), ranks.step():
            raise KeyError("mine")


def fail_on_rank_0(ranks: Ranks) -> None:
    with ranks.step():
        if ranks.is_first:
            raise OSError("too full: ü")


def steps_of(rank: int) -> None:
    ranks = Ranks(True)
    assert (ranks.rank, ranks.size, ranks.is_first) == (rank, 2, rank == 0)
    assert ranks.share(["é", rank]) == [["é", 0], ["é", 1]]
    start = time.monotonic()
    with ranks.step():
        time.sleep(0.3 * rank)
    assert time.monotonic() - start > 0.28
    error, text = ((OSError, "^too full: ü$"), (RuntimeError, "^rank 0 failed: OSError: too full: ü$"))[rank]
    with pytest.raises(error, match=text):
        fail_on_rank_0(ranks)
    with ranks.step():  # and they are still together
        pass
    assert Ranks(False).size == 1


def test_a_step_ends_on_all_ranks_or_fails_on_all() -> None:
    run_ranks(steps_of)


def build_together(rank: int, root: Path) -> None:
    pool = build_pool(Noting(root / f"rank{rank}"), folder=root / "pool", **PLAN)
    assert len(pool) == 10
    again = Failing()
    build_pool(again, folder=root / "pool", **PLAN)
    assert again.blocks == 0


def test_ranks_share_the_blocks_and_the_bytes_do_not_tell(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    run_ranks(build_together, tmp_path)
    shown = capfd.readouterr().err
    assert sum("10/10" in bar for bar in shown.split("\n")) == 1
    assert [len((tmp_path / f"rank{rank}").read_text()) for rank in range(2)] == [3, 2]
    build_pool(toy_generator(SHAPE), folder=tmp_path / "alone", progress=False, **PLAN)
    assert content(tmp_path / "pool") == content(tmp_path / "alone")


class Late(Failing):
    """Takes longer, and fails at its n-th block."""

    def _generate(self, seeds: list[int], classes: list[int] | None, truncation: float) -> Samples:
        time.sleep(0.05)
        return super()._generate(seeds, classes, truncation)


def build_until_one_fails(rank: int, root: Path, failing: int) -> None:
    generator = Late(2) if rank == failing else Failing()
    error = KeyboardInterrupt if rank == failing else RuntimeError
    with pytest.raises(error) as caught:
        build_pool(generator, folder=root / "pool", progress=False, **PLAN)
    assert rank == failing or "failed: KeyboardInterrupt" in str(caught.value)


@pytest.mark.parametrize("failing", [0, 1])
def test_an_error_on_one_rank_is_an_error_on_all_and_what_is_done_stays(failing: int, tmp_path: Path) -> None:
    """Blocks 0 and 1 are made in the first round; in the second, one rank makes its block and the other fails."""
    run_ranks(build_until_one_fails, tmp_path, failing)
    assert PartialPool(tmp_path / "pool.partial").missing == [2 + failing, 4]
    run_ranks(build_together, tmp_path)
    build_pool(toy_generator(SHAPE), folder=tmp_path / "alone", progress=False, **PLAN)
    assert content(tmp_path / "pool") == content(tmp_path / "alone")


def ask_for_different_pools(rank: int, root: Path) -> None:
    with pytest.raises(ValueError, match=r"ranks \[1\] were asked for another pool than rank 0"):
        build_pool(Failing(), folder=root / "pool", progress=False, **{**PLAN, "seed": rank})
    bad = {**PLAN, "block_size": rank}
    error, text = ((ValueError, "^block_size is 0"), (RuntimeError, "^rank 0 failed: ValueError: block_size is 0"))[
        rank
    ]
    with pytest.raises(error, match=text):
        build_pool(Failing(), folder=root / "pool", progress=False, **bad)


def test_arguments_that_differ_are_refused_by_all(tmp_path: Path) -> None:
    run_ranks(ask_for_different_pools, tmp_path)
    assert not list(tmp_path.iterdir())


def build_on_rank_1_alone(rank: int, root: Path) -> None:
    if rank == 1:
        build_pool(Noting(root / "log"), folder=root / "pool", progress=False, distributed=False, **PLAN)


def test_a_rank_can_build_alone(tmp_path: Path) -> None:
    run_ranks(build_on_rank_1_alone, tmp_path)
    assert len((tmp_path / "log").read_text()) == 5
    build_pool(toy_generator(SHAPE), folder=tmp_path / "alone", progress=False, **PLAN)
    assert content(tmp_path / "pool") == content(tmp_path / "alone")
