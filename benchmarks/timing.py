# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""What the benchmarks share: runs that take turns, rows of a table, the machine's description.

def rows(quick: bool = False) -> list[Row]:
    seconds = alternate({"ours": ours, "theirs": theirs}, repeats=1 if quick else 5)
    return [time_row("ours", seconds["ours"], "sample", 32, "theirs", seconds["theirs"], at_most=1.1)]

if __name__ == "__main__":
    show(rows)
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import TypeVar

import torch

__all__ = [
    "Row",
    "alternate",
    "in_own_process",
    "machine",
    "markdown",
    "peak_mib",
    "rate_row",
    "resident_mib",
    "show",
    "time_row",
]

T = TypeVar("T")


@dataclass(frozen=True)
class Row:
    """One line of a table.

    Args:
        what: what was measured.
        value: the median, in ``unit``; None if it was not measured: ``note`` says why.
        unit: ``"s"`` (shown as s, ms or µs), ``"MiB"``, ``"samples/s"`` and so on.
        spread: lowest and highest of the repetitions.
        other: what it is compared with, and ``other_value`` in the same unit.
        ratio: of the two, in the sense of ``ratio_means``.
        ratio_means: "as fast", "as long", "as much" ...
        at_least, at_most: the bar for the ratio; for the value where there is no ratio.
        note: anything else that a reader must know.
    """

    what: str
    value: float | None = None
    unit: str = ""
    spread: tuple[float, float] | None = None
    other: str = ""
    other_value: float | None = None
    ratio: float | None = None
    ratio_means: str = ""
    at_least: float | None = None
    at_most: float | None = None
    note: str = ""

    @property
    def reached(self) -> bool | None:
        """Whether the bar is reached; None without a bar or a measurement."""
        measured = self.value if self.ratio is None else self.ratio
        if measured is None or (self.at_least is None and self.at_most is None):
            return None
        return (self.at_least is None or measured >= self.at_least) and (
            self.at_most is None or measured <= self.at_most
        )


def alternate(runs: Mapping[str, Callable[[], object]], repeats: int = 5, warm_up: int = 1) -> dict[str, list[float]]:
    """Seconds of every repetition of every run.

    The runs take turns, so that a noisy machine hits all of them alike.

    Args:
        runs: name -> what is timed.
        repeats: how often each is timed.
        warm_up: how often each is run before, untimed.
    """
    for _ in range(warm_up):
        for run in runs.values():
            run()
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(repeats):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - start)
    return seconds


def time_row(
    what: str,
    seconds: Sequence[float],
    per: str = "run",
    count: int = 1,
    other: str = "",
    other_seconds: Sequence[float] = (),
    at_most: float | None = None,
    note: str = "",
) -> Row:
    """Seconds per ``per``, of which ``count`` were made in each repetition; the ratio says how many times as long."""
    value = median(seconds) / count
    beside = median(other_seconds) / count if other_seconds else None
    return Row(
        what,
        value,
        "s" if per == "run" else f"s per {per}",
        (min(seconds) / count, max(seconds) / count),
        other,
        beside,
        None if beside is None else value / beside,
        "as long",
        at_most=at_most,
        note=note,
    )


def rate_row(
    what: str,
    seconds: Sequence[float],
    per: str,
    count: int,
    other: str = "",
    other_seconds: Sequence[float] = (),
    at_least: float | None = None,
    note: str = "",
) -> Row:
    """``count`` per second of things called ``per``; the ratio says how many times as fast."""
    value = count / median(seconds)
    beside = count / median(other_seconds) if other_seconds else None
    return Row(
        what,
        value,
        f"{per}s/s",
        (count / max(seconds), count / min(seconds)),
        other,
        beside,
        None if beside is None else value / beside,
        "as fast",
        at_least=at_least,
        note=note,
    )


def in_own_process(function: Callable[..., T], *arguments: object) -> T:
    """What a function of a module returns, called in a fresh process."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        return process.submit(function, *arguments).result()


def peak_mib() -> float:
    """The most memory that this process had so far, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


def resident_mib() -> float:
    """The memory that this process has now, in MiB; its peak where the system does not say."""
    statm = Path("/proc/self/statm")
    return int(statm.read_text().split()[1]) * resource.getpagesize() / 2**20 if statm.exists() else peak_mib()


def machine() -> dict[str, str]:
    """What the figures were measured on."""
    facts = {
        "CPU": f"{_cpu_model()}, {os.cpu_count()} cores",
        "Memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB",
        "System": f"{platform.system()} {platform.machine()}",
        "Threads of PyTorch": str(torch.get_num_threads()),
        "Python": platform.python_version(),
        **{name: version(name) for name in ("torch", "monai", "numpy", "monai-genaug")},
        "GPU": "none",
    }
    if torch.cuda.is_available():
        facts["GPU"] = f"{torch.cuda.get_device_name()}, CUDA {torch.version.cuda}"
    return facts


def markdown(rows: Sequence[Row]) -> str:
    """The rows as a table; columns in which nothing stands are left out."""
    lines = [["", "Median", "Lowest to highest", "Compared with", "Its median", "Ratio", "Bar", "Note"]]
    lines += [_cells(row) for row in rows]
    used = [k for k in range(len(lines[0])) if k == 0 or any(line[k] for line in lines[1:])]
    width = {k: max(len(line[k]) for line in lines) for k in used}
    table = ["| " + " | ".join(line[k].ljust(width[k]) for k in used) + " |" for line in lines]
    table.insert(1, "|" + "|".join("-" * (width[k] + 2) for k in used) + "|")
    return "\n".join(table)


def show(rows: Callable[[bool], list[Row]]) -> None:
    """The command line of a benchmark: prints its table, or writes it as JSON for ``python -m benchmarks``."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="sizes that only show that it works")
    parser.add_argument("--json", type=Path, help="write the rows there")
    arguments = parser.parse_args()
    measured = rows(arguments.quick)
    if arguments.json is not None:
        arguments.json.write_text(json.dumps([asdict(row) for row in measured], indent=1))
    print(markdown(measured))


def _cells(row: Row) -> list[str]:
    """What stands in the columns of :func:`markdown`."""
    sign, bar = ("≥", row.at_least) if row.at_least is not None else ("≤", row.at_most)
    reached = {True: " reached", False: " **missed**", None: ""}[row.reached]
    bar_unit = row.unit if row.ratio is None and row.value is not None else ""
    return [
        row.what,
        _quantity(row.value, row.unit),
        "" if row.spread is None else f"{_quantity(row.spread[0], row.unit)} to {_quantity(row.spread[1], row.unit)}",
        row.other,
        _quantity(row.other_value, row.unit),
        "" if row.ratio is None else f"{_digits(row.ratio)} × {row.ratio_means}".strip(),
        "" if bar is None else f"{sign} {_quantity(bar, bar_unit)}{reached}",
        row.note,
    ]


def _quantity(value: float | None, unit: str) -> str:
    """A value with its unit, seconds in s, ms or µs: ``12.3 ms per sample``."""
    if value is None:
        return ""
    if unit == "s" or unit.startswith("s "):
        factor, prefix = next(((f, p) for f, p in ((1.0, ""), (1e3, "m")) if value * f >= 0.9995), (1e6, "µ"))
        value, unit = value * factor, prefix + unit
    return f"{_digits(value)} {unit}".strip()


def _digits(value: float) -> str:
    """Three digits, or all in front of the point."""
    if value == 0 or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:#.3g}"


def _cpu_model() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    return next(
        (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.processor()
    )
