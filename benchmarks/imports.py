# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""What importing monai_genaug costs beside importing monai alone, in fresh interpreters that take turns."""

from __future__ import annotations

import subprocess
import sys

from benchmarks.timing import Row, show, time_row

BAR = 1.10
TIMED = "import time; start = time.perf_counter(); import {}; print(time.perf_counter() - start)"


def rows(quick: bool = False, ours: str = "monai_genaug", theirs: str = "monai") -> list[Row]:
    """Seconds of the import statement, without the interpreter's own start."""
    seconds: dict[str, list[float]] = {ours: [], theirs: []}
    for repeat in range(1 if quick else 8):
        for module, taken in seconds.items():
            taken.append(import_seconds(module))
        if repeat == 0 and not quick:  # that brought the files into the system's cache
            seconds = {module: [] for module in seconds}
    return [time_row(f"import {ours}", seconds[ours], "", 1, f"import {theirs}", seconds[theirs], at_most=BAR)]


def import_seconds(module: str) -> float:
    """Of one import in an interpreter of its own."""
    command = [sys.executable, "-c", TIMED.format(module)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-1])


if __name__ == "__main__":
    show(rows)
