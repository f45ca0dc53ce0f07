# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""``python -m tutorials [NAME ...] [--size small|full]``: executes tutorials and writes their outputs into the files.

A name is the beginning of a file name, such as ``3``; without names, all of them run, each in a temporary folder. A
notebook that fails keeps the outputs that it had, the others go on, and the exit code is then 1.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import nbformat
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

from tutorials.running import SIZES, executed, notebooks, tidied


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs what the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m tutorials", description="Executes the tutorials.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="beginning of a file name; all by default")
    parser.add_argument("--size", choices=SIZES, default="full", help="how much is computed (default: full)")
    parser.add_argument("--timeout", type=int, default=3600, help="seconds that a cell may take (default: 3600)")
    chosen = parser.parse_args(arguments)
    paths = [path for path in notebooks() if not chosen.names or path.stem.startswith(tuple(chosen.names))]
    if not paths:
        parser.error(f"there are {', '.join(path.stem for path in notebooks())}")
    failed = [path for path in paths if not _renew(path, chosen.size, chosen.timeout)]
    return int(bool(failed))


def _renew(path: Path, size: str, timeout: int) -> bool:
    """Executes a notebook and writes it; says what happened."""
    start = time.perf_counter()
    print(f"{path.stem} ...", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        try:
            notebook = tidied(executed(path, Path(folder), size, timeout), Path(folder))
        except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
            print(f"{path.stem} failed:\n{error}", flush=True)
            return False
    unfinished = path.with_suffix(".tmp")
    nbformat.write(notebook, unfinished)
    unfinished.replace(path)
    print(f"{path.stem}: {time.perf_counter() - start:.0f} s, {path.stat().st_size // 1024} kB", flush=True)
    return True


if __name__ == "__main__":
    sys.exit(main())
