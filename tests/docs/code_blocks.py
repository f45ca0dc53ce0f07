# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""The code blocks of a page, and running them as a reader would: one after the other, in one namespace and folder."""

from __future__ import annotations

import importlib.util
import json
import linecache
import re
import shlex
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from monai.bundle import ConfigParser
from typer.testing import CliRunner

from monai_genaug.cli import app

ROOT = Path(__file__).parents[2]

_FENCE = re.compile(r"^( *)(`{3,})([^\n`]*)\n(.*?)^ *\2 *$", flags=re.DOTALL | re.MULTILINE)
_RUN = {"python", "bash", "json"}
_SHOWN = {"", "text", "diff"}
_DIRECTIVES = {"{toctree}", "{include}"}  # others might hold code that nothing runs

PROGRAMS = (["monai-genaug"], ["python", "-m", "monai_genaug"])
NOT_RUN = {
    "cd": "the blocks of a page share one folder",
    "git clone": "the repository is here",
    "make": "the targets are the checks of the repository, this one among them",
    "monai-genaug demo": "trains for minutes; tests/experiments/test_demo.py runs it smaller",
    "pip install": "the package is installed",
    "python -m benchmarks": "runs for minutes; tests/benchmarks run them smaller",
    "python -m monai.bundle": "trains; tests/bundles run every bundle's configs smaller",
    "python -m monai_genaug demo": "as monai-genaug demo",
    "python -m monai_genaug.experiments": "runs for minutes to hours; tests/experiments run them smaller",
    "torchrun": "several processes; tests of ranks start their own",
}
"""Commands that pages show and no test of pages runs: how they begin, and why."""


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Args:
        language: what stands after the opening fence.
        text: without the fences and without their indentation.
        line: number of its first line in the page.
    """

    language: str
    text: str
    line: int


def read_blocks(page: Path) -> list[Block]:
    """The blocks of a page in their order.

    Raises:
        ValueError: a block of a language that is neither run nor known to be for reading alone.
    """
    text = page.read_text(encoding="utf-8")
    blocks = []
    for match in _FENCE.finditer(text):
        language, line = match[3].strip(), text.count("\n", 0, match.start()) + 2
        if language.split(" ")[0] in _DIRECTIVES:
            continue
        if language not in _RUN | _SHOWN:
            raise ValueError(f"{page}:{line}: a block of {language!r}, known are {sorted(_RUN | _SHOWN)}.")
        blocks.append(Block(language, textwrap.dedent(match[4]), line))
    return blocks


def run_page(
    page: Path, names: dict[str, Any], options: Mapping[str, Sequence[str]], exit_codes: Mapping[str, int]
) -> dict[str, Any]:
    """Runs all blocks of a page in the present folder.

    Args:
        page: the page.
        names: what the reader has before; the examples add to it.
        options: first word of a command of ours -> further options, which make it smaller.
        exit_codes: beginning of a command of ours, after the program's name -> exit code, where it is not 0.

    Returns:
        The names that are there at the end.
    """
    for block in read_blocks(page):
        if block.language == "python":
            _run_python(block, page, names)
        elif block.language == "bash":
            for command in commands(block):
                _run_command(command, f"{page}:{block.line}", options, exit_codes)
        elif block.language == "json":
            build_configs(json.loads(block.text))
    return names


def commands(block: Block) -> Iterator[list[str]]:
    """The words of each command of a block of bash, without comments."""
    for line in block.text.replace("\\\n", " ").splitlines():
        for command in line.split(" && "):
            if words := shlex.split(command, comments=True):
                yield words


def build_configs(config: Any) -> None:
    """Builds what a JSON text describes with ``_target_``, at whatever depth."""
    if isinstance(config, list):
        for value in config:
            build_configs(value)
    elif isinstance(config, dict) and "_target_" in config:
        ConfigParser({"it": config}).get_parsed_content("it")
    elif isinstance(config, dict):
        build_configs(list(config.values()))


def our_command(words: Sequence[str]) -> list[str] | None:
    """What follows the program's name in a command of ours that is run; None for other commands."""
    for program in PROGRAMS:
        if list(words[: len(program)]) == program and reason_not_to_run(words) is None:
            return list(words[len(program) :])
    return None


def reason_not_to_run(words: Sequence[str]) -> str | None:
    """Why a command is not run; None where it has to be."""
    line = " ".join(words)
    for beginning, reason in NOT_RUN.items():
        if line == beginning or line.startswith((f"{beginning} ", f"{beginning}.")):
            return reason
    return None


def _run_python(block: Block, page: Path, names: dict[str, Any]) -> None:
    where = f"<{page}:{block.line}>"
    linecache.cache[where] = (len(block.text), None, block.text.splitlines(keepends=True), where)
    exec(compile(block.text, where, "exec"), names)


def _run_command(
    words: Sequence[str], where: str, options: Mapping[str, Sequence[str]], exit_codes: Mapping[str, int]
) -> None:
    ours = our_command(words)
    if ours is None:
        assert reason_not_to_run(words) is not None, f"{where}: no reason is known not to run {' '.join(words)!r}"
        if list(words[:2]) == ["python", "-m"]:
            assert importlib.util.find_spec(words[2]) is not None, f"{where}: there is no module {words[2]}"
        return
    line = " ".join(ours)
    expected = next((code for beginning, code in exit_codes.items() if line.startswith(beginning)), 0)
    done = CliRunner().invoke(app, [*ours, *options.get(ours[0], ())])
    assert done.exit_code == expected, f"{where}: {line!r} ends with {done.exit_code}: {done.output} {done.exception!r}"
