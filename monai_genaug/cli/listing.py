# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""``monai-genaug list`` and ``monai-genaug info``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from monai_genaug.cli.errors import usage_errors

if TYPE_CHECKING:
    from monai_genaug.generators.spec import GeneratorSpec

__all__ = ["info_command", "list_command"]


def list_command(
    commercial: Annotated[bool, typer.Option("--commercial", help="only what may be used commercially")] = False,
) -> None:
    """List the generators that come with the package."""
    from monai_genaug.generators.loading import list_generators

    specs = {name: spec for name, spec in list_generators().items() if not (commercial and _is_non_commercial(spec))}
    table = Table(box=SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    for column in ("name", "makes", "shape", "classes", "licence"):
        table.add_column(column, no_wrap=column != "classes")
    notes = []
    if any(map(_is_non_commercial, specs.values())):
        notes.append("* not for commercial use, which holds for samples too (list --commercial leaves these out)")
    number = 0
    for name, spec in specs.items():
        number += bool(spec.warnings)
        notes += [f"[{number}] {warning}" for warning in spec.warnings]
        mark = ("*" if _is_non_commercial(spec) else "") + (f" [{number}]" if spec.warnings else "")
        shape = "x".join(str(size) for size in spec.spatial_shape)
        classes = ", ".join(spec.classes.values()) if spec.classes else "-"
        cells = (f"{name}{mark}", ", ".join(spec.outputs), shape, classes, spec.weights_licence or "-")
        table.add_row(*(Text(cell) for cell in cells))
    console = Console(highlight=False, markup=False)
    console.print(table)
    for note in notes:
        console.print(note)


def info_command(name: Annotated[str, typer.Argument(help="name of a shipped generator, or a bundle folder")]) -> None:
    """Print what a generator makes and where it comes from, as JSON."""
    from monai_genaug.generators.loading import load_generator

    with usage_errors():
        spec = load_generator(name).spec
    typer.echo(spec.to_json())


def _is_non_commercial(spec: GeneratorSpec) -> bool:
    """Whether the licence of weights or data forbids commercial use: Creative Commons with the element NC."""
    return any("NC" in licence.split("-") for licence in (spec.weights_licence, spec.data_licence))
