# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""How commands show what they found: tables for people, JSON for machines."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

__all__ = ["AsJson", "Force", "print_json_text", "show_table", "wide_console"]

AsJson = Annotated[bool, typer.Option("--json", help="print JSON, for machines")]
Force = Annotated[bool, typer.Option("--force", help="replace what an earlier run wrote")]


def print_json_text(values: Any) -> None:
    """Prints plain values as JSON on stdout."""
    typer.echo(json.dumps(values, indent=2))


def wide_console() -> Console:
    """A console on stdout that shows texts as they are."""
    return Console(highlight=False, markup=False)


def show_table(columns: Sequence[str], rows: Iterable[Sequence[str | Text]], numbers: bool = False) -> None:
    """Prints a table on stdout.

    Args:
        columns: their heads; all empty for a table without head.
        rows: of as many cells.
        numbers: whether all columns but the first hold numbers.
    """
    table = Table(box=SIMPLE_HEAD, show_edge=False, show_header=any(columns), padding=(0, 1, 0, 0))
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if numbers and number else "left")
    for row in rows:
        table.add_row(*(cell if isinstance(cell, Text) else Text(cell) for cell in row))
    wide_console().print(table)
