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
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from random import Random
from statistics import median
from typing import TypeVar

__all__ = [
    "Row",
    "alternate",
    "in_own_process",
    "machine",
    "markdown",
    "own_mib",
    "peak_mib",
    "rate_row",
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

    The runs take turns, so that a noisy machine hits all of them alike, and each time in another order, so that none
    always meets the caches and the memory that the same other one left.

    Args:
        runs: name -> what is timed.
        repeats: how often each is timed.
        warm_up: how often each is run before, untimed.
    """
    for _ in range(warm_up):
        for run in runs.values():
            run()
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    shuffled = Random(0)
    for _ in range(repeats):
        for name in shuffled.sample(list(runs), len(runs)):
            start = time.perf_counter()
            runs[name]()
            seconds[name].append(time.perf_counter() - start)
    return seconds


def time_row(
    what: str,
    seconds: Sequence[float],
    per: str = "",
    count: int = 1,
    other: str = "",
    other_seconds: Sequence[float] = (),
    at_most: float | None = None,
    at_least: float | None = None,
    note: str = "",
) -> Row:
    """Seconds, per ``per`` if ``count`` of them were made in each repetition.

    The ratio says how many times as long as the other it takes, which ``at_most`` bounds; with ``at_least``, how many
    times as fast it is.
    """
    value, beside, spread = _per_item(seconds, other_seconds, count)
    ratio = None if beside is None else value / beside if at_least is None else beside / value
    means = "as long" if at_least is None else "as fast"
    unit = f"s per {per}" if per else "s"
    return Row(what, value, unit, spread, other, beside, ratio, means, at_least, at_most, note)


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
    """``count`` per second of things called ``per``; the ratio says how many times as fast as the other it is."""
    value, beside, (low, high) = _per_item(seconds, other_seconds, count)
    rate = None if beside is None else 1 / beside
    ratio = None if beside is None else beside / value
    spread = (1 / high, 1 / low)
    return Row(what, 1 / value, f"{per}s/s", spread, other, rate, ratio, "as fast", at_least, None, note)


def _per_item(
    seconds: Sequence[float], other_seconds: Sequence[float], count: int
) -> tuple[float, float | None, tuple[float, float]]:
    """Median, the other's median, lowest and highest."""
    beside = median(other_seconds) / count if other_seconds else None
    return median(seconds) / count, beside, (min(seconds) / count, max(seconds) / count)


def in_own_process(function: Callable[..., T], *arguments: object) -> T:
    """What a function of a module returns, called in a fresh process."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        return process.submit(function, *arguments).result()


def peak_mib() -> float:
    """The most memory that this process had so far, in MiB."""
    peak = _proc_status("VmHWM")  # getrusage's also counts what the process was before it was exec'ed
    if peak is None:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**10 if sys.platform == "darwin" else 1)
    return peak / 2**10


def own_mib() -> float:
    """The memory that this process has now, in MiB, without the pages of files that it maps; its peak off Linux."""
    own = _proc_status("RssAnon")
    return peak_mib() if own is None else own / 2**10


def machine() -> dict[str, str]:
    """What the figures were measured on."""
    import torch  # here, since scripts that measure imports and processes must start quickly

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
    width = {k: max(3, *(len(line[k]) for line in lines)) for k in used}
    table = ["| " + " | ".join(line[k].ljust(width[k]) for k in used) + " |" for line in lines]
    table.insert(1, "|" + "|".join("-" * (width[k] + 2) for k in used) + "|")
    return "\n".join(table)


def show(rows: Callable[[bool], Sequence[Row]]) -> None:
    """The command line of a benchmark: prints its table, or writes it as JSON for ``python -m benchmarks``."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="sizes that only show that it works")
    parser.add_argument("--json", type=Path, help="write the rows there")
    arguments = parser.parse_args()
    measured = rows(arguments.quick)
    if arguments.quick:
        measured = [replace(row, at_least=None, at_most=None) for row in measured]
    if arguments.json is not None:
        arguments.json.write_text(json.dumps([asdict(row) for row in measured], indent=1))
    print(markdown(measured))


def _cells(row: Row) -> list[str]:
    """What stands in the columns of :func:`markdown`."""
    scale, unit = _scaled(row.value, row.unit)
    other_scale, other_unit = _scaled(row.other_value, row.unit)
    spread = "" if row.spread is None else f"{_digits(row.spread[0] * scale)} to {_digits(row.spread[1] * scale)}"
    return [
        row.what,
        "" if row.value is None else f"{_digits(row.value * scale)} {unit}".strip(),
        spread,
        row.other,
        "" if row.other_value is None else f"{_digits(row.other_value * other_scale)} {other_unit}".strip(),
        "" if row.ratio is None else f"{_digits(row.ratio)} × {row.ratio_means}".strip(),
        _bar(row),
        row.note,
    ]


def _bar(row: Row) -> str:
    sign, bar = ("≥", row.at_least) if row.at_least is not None else ("≤", row.at_most)
    if bar is None:
        return ""
    unit = row.unit if row.ratio is None and row.value is not None else ""
    reached = {True: ", reached", False: ", **missed**", None: ""}[row.reached]
    return f"{sign} {bar:,g} {unit}".strip() + reached


def _scaled(value: float | None, unit: str) -> tuple[float, str]:
    """Factor and unit to write a value with: seconds become s, ms or µs."""
    if value is None or not (unit == "s" or unit.startswith("s ")):
        return 1.0, unit
    factor, prefix = next(((f, p) for f, p in ((1.0, ""), (1e3, "m")) if value * f >= 0.9995), (1e6, "µ"))
    return factor, prefix + unit


def _digits(value: float) -> str:
    """Three digits, or all in front of the point."""
    return f"{value:,.0f}" if value == 0 or abs(value) >= 99.95 else f"{value:#.3g}"


def _cpu_model() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    return next(
        (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.processor()
    )


def _proc_status(field: str) -> float | None:
    """KiB that Linux says of this process."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((float(line.split()[1]) for line in lines if line.startswith(f"{field}:")), None)
