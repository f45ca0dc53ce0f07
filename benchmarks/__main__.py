# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""``python -m benchmarks [NAME ...] [--quick]``: runs benchmarks, each in a fresh interpreter, and writes the results.

``benchmarks/results.md`` describes the machine and has one table per benchmark; ``benchmarks/results/`` holds the same
as JSON. Without names all of them run; a run of some names renews their tables, if this machine has measured the others
before. ``--quick`` writes to ``benchmarks/results/quick/`` alone. A benchmark that fails is reported, and the others go
on; the exit code is then 1.
"""

from __future__ import annotations

import argparse
import ast
import json
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.timing import Row, machine, markdown

FOLDER = Path(__file__).parent
SHARED = ("__init__", "__main__", "raw_network", "timing")

Results = dict[str, "list[Row] | str"]
"""Name of a benchmark -> its rows, or the last lines of what it said when it failed."""


def names() -> list[str]:
    """All benchmarks."""
    return sorted(path.stem for path in FOLDER.glob("*.py") if path.stem not in SHARED)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs what the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="What things cost.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(names())}; all by default")
    parser.add_argument("--quick", action="store_true", help="sizes that only show that everything works")
    parser.add_argument("--out", type=Path, help="folder of the JSON files")
    chosen = parser.parse_args(arguments)
    unknown = sorted(set(chosen.names) - set(names()))
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)}; there are {', '.join(names())}")
    out = chosen.out or FOLDER / "results" / ("quick" if chosen.quick else "")
    found_before = measured(out)
    results = run(chosen.names or names(), out, chosen.quick)
    complete = {name: (found_before | results)[name] for name in names() if name in found_before | results}
    renewed = not chosen.quick and list(complete) == names()
    page = FOLDER / "results.md" if renewed else out / "results.md"
    page.write_text(report(machine(), complete if renewed else results))
    print(f"{page} written")
    return int(any(isinstance(found, str) for found in results.values()))


def run(chosen: Sequence[str], folder: Path, quick: bool) -> Results:
    """One process after the other; ``folder`` gets a file ``<name>.json`` from each, and ``machine.json``."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "machine.json").write_text(json.dumps(machine(), indent=1))
    results: Results = {}
    for number, name in enumerate(chosen, 1):
        print(f"[{number}/{len(chosen)}] {name} ...", flush=True)
        start = time.perf_counter()
        found = results[name] = run_one(name, folder / f"{name}.json", quick)
        taken = f"{time.perf_counter() - start:.0f} s"
        print(
            f"failed after {taken}:\n{found}" if isinstance(found, str) else f"{markdown(found)}\n{taken}", flush=True
        )
    return results


def measured(folder: Path) -> Results:
    """What this machine has measured before."""
    facts = folder / "machine.json"
    if not facts.is_file() or json.loads(facts.read_text()) != machine():
        return {}
    paths = {name: folder / f"{name}.json" for name in names()}
    return {name: _read(path) for name, path in paths.items() if path.is_file()}


def run_one(name: str, path: Path, quick: bool = False) -> list[Row] | str:
    """The rows of one benchmark, or why it failed."""
    path.unlink(missing_ok=True)
    command = [sys.executable, "-m", f"{__package__}.{name}", "--json", str(path), *(["--quick"] if quick else [])]
    done = subprocess.run(command, cwd=FOLDER.parent, capture_output=True, text=True)
    if done.returncode or not path.is_file():
        return f"exit code {done.returncode}\n" + "\n".join(done.stderr.splitlines()[-10:])
    return _read(path)


def _read(path: Path) -> list[Row]:
    return [Row(**values) for values in json.loads(path.read_text())]


def report(facts: Mapping[str, str], results: Results) -> str:
    """The page of results."""
    parts = [
        "# Benchmarks",
        "`make bench` writes this page: medians of repetitions in which the things compared take turns.",
        "\n".join(["| Machine | |", "|---|---|", *(f"| {name} | {value} |" for name, value in facts.items())]),
    ]
    for name, found in results.items():
        title, _, details = (ast.get_docstring(ast.parse(source(name))) or name).partition("\n\n")
        text = f"Failed:\n\n```\n{found}\n```" if isinstance(found, str) else markdown(found)
        parts += [f"## {' '.join(title.split()).rstrip('.')}", f"`python -m benchmarks.{name}`"]
        parts += [details.strip(), text] if details else [text]
    return "\n\n".join(parts) + "\n"


def source(name: str) -> str:
    """The text of a benchmark."""
    return (FOLDER / f"{name}.py").read_text(encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
