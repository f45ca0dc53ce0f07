# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
from functools import partial

import numpy as np
import pytest

from benchmarks.timing import (
    Row,
    alternate,
    in_own_process,
    machine,
    markdown,
    own_mib,
    peak_mib,
    rate_row,
    time_row,
)


def test_runs_take_turns_after_the_warm_up() -> None:
    calls: list[str] = []
    seconds = alternate({name: partial(calls.append, name) for name in "ab"}, repeats=8, warm_up=2)
    turns = ["".join(pair) for pair in zip(calls[::2], calls[1::2], strict=True)]
    assert turns[:2] == ["ab", "ab"]
    assert set(turns[2:]) == {"ab", "ba"}
    assert {name: len(taken) for name, taken in seconds.items()} == {"a": 8, "b": 8}
    assert min(seconds["a"]) >= 0


def test_time_row_is_the_median_per_item() -> None:
    row = time_row("ours", [0.2, 0.1, 0.4], "sample", 10, "theirs", [0.4, 0.1, 0.8], at_most=0.4)
    assert (row.value, row.other_value, row.ratio) == pytest.approx((0.02, 0.04, 0.5))
    assert row.spread == pytest.approx((0.01, 0.04))
    assert (row.unit, row.ratio_means, row.reached) == ("s per sample", "as long", False)


def test_a_bar_from_below_turns_the_ratio_of_times() -> None:
    row = time_row("ours", [0.001], other="theirs", other_seconds=[0.6], at_least=500)
    assert row.ratio == pytest.approx(600)
    assert (row.unit, row.ratio_means, row.reached) == ("s", "as fast", True)


def test_rate_row() -> None:
    row = rate_row("ours", [2.0, 4.0, 1.0], "item", 8, "theirs", [1.0], at_least=0.5)
    assert (row.value, row.other_value, row.spread) == (4.0, 8.0, (2.0, 8.0))
    assert (row.unit, row.ratio, row.reached) == ("items/s", 0.5, True)


@pytest.mark.parametrize(
    ("row", "reached"),
    [
        (Row("x", 3.0), None),
        (Row("x", note="not installed", at_least=1.0), None),
        (Row("x", 3.0, at_most=3.0), True),
        (Row("x", 3.0, ratio=0.5, at_least=1.0), False),
    ],
)
def test_reached(row: Row, reached: bool | None) -> None:
    assert row.reached is reached


def test_table_is_readable() -> None:
    rows = [
        time_row("fast", [0.000_0123], "sample"),
        time_row("slow", [12.345], other="other", other_seconds=[11.0], at_most=1.1),
        rate_row("rate", [0.5], "sample", 1_234_567, at_least=2e6),
        Row("memory", 99.96, "MiB", at_most=2048),
        Row("peer", note="not installed"),
    ]
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in markdown(rows).splitlines()]
    assert lines[0] == ["", "Median", "Lowest to highest", "Compared with", "Its median", "Ratio", "Bar", "Note"]
    assert set("".join(lines[1])) == {"-"}
    assert lines[2][:3] == ["fast", "12.3 µs per sample", "12.3 to 12.3"]
    assert lines[3][1:7] == ["12.3 s", "12.3 to 12.3", "other", "11.0 s", "1.12 × as long", "≤ 1.1, **missed**"]
    assert lines[4][1] == "2,469,134 samples/s"
    assert lines[4][6] == "≥ 2e+06 samples/s, reached"
    assert lines[5][1:7] == ["100 MiB", "", "", "", "", "≤ 2,048 MiB, reached"]
    assert lines[6] == ["peer", *[""] * 6, "not installed"]


def test_empty_columns_are_left_out() -> None:
    assert markdown([Row("a", 1.0, "s")]).splitlines()[0].split() == ["|", "|", "Median", "|"]


def test_own_process() -> None:
    assert in_own_process(os.getpid) != os.getpid()


def test_memory_is_seen() -> None:
    peak, own = peak_mib(), own_mib()
    block = np.ones(512 * 2**17)  # 512 MiB, more than trainers let a process keep when it is freed
    assert own_mib() >= own + 500 or own == peak
    assert peak_mib() >= own + block.nbytes / 2**20 - 4


def test_machine_names_what_decides_about_figures() -> None:
    facts = machine()
    assert {"CPU", "Memory", "Threads of PyTorch", "Python", "torch", "monai", "GPU"} <= set(facts)
    assert all(facts.values())
