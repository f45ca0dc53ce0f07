# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""``monai-genaug list``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from monai_genaug.cli.printing import AsJson, print_json_text, wide_console

if TYPE_CHECKING:
    from monai_genaug.generators.spec import GeneratorSpec

__all__ = ["is_non_commercial", "list_command"]


def list_command(
    commercial: Annotated[bool, typer.Option("--commercial", help="only what may be used commercially")] = False,
    as_json: AsJson = False,
) -> None:
    """List the generators that come with the package."""
    from monai_genaug.generators.loading import list_generators

    specs = {name: spec for name, spec in list_generators().items() if not (commercial and is_non_commercial(spec))}
    if as_json:
        print_json_text([_summary(name, spec) for name, spec in specs.items()])
    else:
        _show(specs)


def is_non_commercial(spec: GeneratorSpec) -> bool:
    """Whether the licence of weights or data forbids commercial use: Creative Commons with the element NC."""
    return any("NC" in licence.split("-") for licence in (spec.weights_licence, spec.data_licence))


def _summary(name: str, spec: GeneratorSpec) -> dict[str, Any]:
    """The spec without the hashes of the training items."""
    values = {**spec.to_dict(), "name": name, "commercial": not is_non_commercial(spec)}
    del values["provenance"]
    return {**values, "dataset": spec.provenance.dataset if spec.provenance else ""}


def _show(specs: dict[str, GeneratorSpec]) -> None:
    table = Table(box=SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    for column in ("name", "makes", "shape", "classes", "licence"):
        table.add_column(column, no_wrap=column != "classes")
    notes = []
    if any(map(is_non_commercial, specs.values())):
        notes.append("* not for commercial use, which holds for samples too (list --commercial leaves these out)")
    if not all(spec.reproducible_batches for spec in specs.values()):
        notes.append("~ makes one sample at a time, which is slow: build a pool first (monai-genaug generate)")
    number = 0
    for name, spec in specs.items():
        number += bool(spec.warnings)
        notes += [f"[{number}] {warning}" for warning in spec.warnings]
        mark = ("*" if is_non_commercial(spec) else "") + ("" if spec.reproducible_batches else "~")
        mark += f" [{number}]" if spec.warnings else ""
        shape = "x".join(str(size) for size in spec.spatial_shape)
        classes = ", ".join(spec.classes.values()) if spec.classes else "-"
        cells = (f"{name}{mark}", ", ".join(spec.outputs), shape, classes, spec.weights_licence or "-")
        table.add_row(*(Text(cell) for cell in cells))
    console = wide_console()
    console.print(table)
    for note in notes:
        console.print(note)
