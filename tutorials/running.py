# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Executes a notebook, and makes its outputs fit to be committed."""

from __future__ import annotations

import os
import re
import site
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode

__all__ = ["FOLDER", "SIZES", "executed", "machine_paths", "notebooks", "pictures", "tidied"]

FOLDER = Path(__file__).parent
SIZES = ("small", "full")

_BAR = re.compile(r"\d+%\|.*\||\[\d+/\d+\]|\d+it \[|it/s\]|s/it\]")
_TERMINAL_CODES = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


def notebooks() -> list[Path]:
    """The tutorials, in their order."""
    return sorted(FOLDER.glob("[1-9]_*.ipynb"))


def executed(path: Path, folder: Path, size: str, timeout: int = 600) -> NotebookNode:
    """The notebook with the outputs of a run; its file is left as it is.

    Args:
        path: the notebook.
        folder: where it runs and leaves its files.
        size: ``"small"`` or ``"full"``, which the notebook reads from ``GENAUG_TUTORIAL_SIZE``.
        timeout: seconds that a cell may take.

    Raises:
        nbclient.exceptions.CellExecutionError: a cell fails; the error has its traceback.
        nbclient.exceptions.CellTimeoutError: a cell takes too long.
    """
    notebook = nbformat.read(path, as_version=4)
    environment = {**os.environ, "GENAUG_TUTORIAL_SIZE": size, "PYTHONPATH": _python_path(), "COLUMNS": "100"}
    client = NotebookClient(
        notebook, timeout=timeout, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
    )
    client.execute(env=environment)
    return notebook


def tidied(notebook: NotebookNode, folder: Path) -> NotebookNode:
    """The notebook without what differs from run to run and from machine to machine.

    Execution times go, progress bars go, pieces of one stream become one output, and paths of this machine become
    relative or short ones.

    Args:
        notebook: as :func:`executed` returns it; it is changed.
        folder: where it ran.
    """
    replaced = {**machine_paths(), str(folder.resolve()): ".", str(folder): "."}
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.outputs = _merged(cell.outputs)
            cell.outputs = [kept for kept in (_tidied(output, replaced) for output in cell.outputs) if kept is not None]
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    return notebook


def machine_paths() -> dict[str, str]:
    """Paths of this machine, the longest first -> what may stand in a committed output instead."""
    paths = {str(Path(folder)): "site-packages" for folder in site.getsitepackages()}
    paths |= {sys.executable: "python", sys.prefix: "environment", str(FOLDER.parent): "monai_genaug"}
    if os.environ.get("GENAUG_DATA"):
        paths |= {str(Path(os.environ["GENAUG_DATA"])): "data"}
    paths |= {str(Path.home()): "~"} if len(Path.home().parts) > 1 else {}
    return {path: paths[path] for path in sorted(paths, key=len, reverse=True)}


def pictures(notebook: NotebookNode) -> list[str]:
    """The pictures among the outputs, PNG in base64."""
    return [
        output.data["image/png"]
        for cell in notebook.cells
        if cell.cell_type == "code"
        for output in cell.outputs
        if "image/png" in output.get("data", {})
    ]


def _python_path() -> str:
    """This checkout first, so that its package is what the notebook imports."""
    return os.pathsep.join(filter(None, [str(FOLDER.parent), os.environ.get("PYTHONPATH", "")]))


def _merged(outputs: list[Any]) -> list[Any]:
    merged: list[Any] = []
    for output in outputs:
        if output.output_type == "stream" and merged and merged[-1].get("name") == output.name:
            merged[-1].text += output.text
        else:
            merged.append(output)
    return merged


def _tidied(output: Any, replaced: dict[str, str]) -> Any:
    """The output, None for one of which nothing remains."""

    def short(text: str) -> str:
        for path, name in replaced.items():
            text = text.replace(path, name)
        return text

    if output.output_type == "stream":
        output.text = short(_without_bars(output.text))
        return output if output.text.strip() else None
    if output.output_type in ("display_data", "execute_result"):
        output.metadata = {}
        output.data = {kind: _of_data(kind, value, short) for kind, value in output.data.items()}
    return output


def _of_data(kind: str, value: Any, short: Callable[[str], str]) -> Any:
    return short(value) if kind.startswith("text/") and isinstance(value, str) else value


def _without_bars(text: str) -> str:
    """Text as a terminal leaves it, without lines that are a progress bar."""
    lines = []
    for line in _TERMINAL_CODES.sub("", text).replace("\r\n", "\n").split("\n"):
        last = line.rstrip("\r").rpartition("\r")[2]
        if not _BAR.search(last):
            lines.append(last.rstrip())
    return "\n".join(lines)
