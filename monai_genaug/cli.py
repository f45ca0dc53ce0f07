# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""The command line: ``monai-genaug`` or ``python -m monai_genaug``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from monai_genaug.generators.spec import GeneratorSpec

__all__ = ["app"]

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,
    help="Generative data augmentation for MONAI.",
)


@app.command("list")
def _list(
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


@app.command("info")
def _info(name: Annotated[str, typer.Argument(help="name of a shipped generator, or a bundle folder")]) -> None:
    """Print what a generator makes and where it comes from, as JSON."""
    typer.echo(_spec(name).to_json())


@app.command("demo")
def _demo(out: Annotated[Path, typer.Option(help="folder for the report and its pictures")] = Path("demo_out")) -> None:
    """Go the whole way: from the shipped bundle to a trained network that is tried on a real brain."""
    from monai_genaug.experiments.demo import run_demo

    run_demo(out)


@app.command("train")
def _train(
    data: Annotated[Path, typer.Argument(help="folder with a sub-folder per class, or of images alone")],
    out: Annotated[Path, typer.Option(help="folder for the run; the bundle is its sub-folder bundle")],
    model: Annotated[str, typer.Option(help="conditional_vae, vae, joint_vae, rhvae or sngan")] = "conditional_vae",
    name: Annotated[str | None, typer.Option(help="of the generator; by default that of the folder")] = None,
    size: Annotated[int | None, typer.Option(help="pixels or voxels per axis; by default 64 in 2D, 48 in 3D")] = None,
    epochs: Annotated[int | None, typer.Option(help="by default as many as make 4000 steps")] = None,
    subject: Annotated[str | None, typer.Option(help="regular expression, one group: the subject in a path")] = None,
    seed: Annotated[int, typer.Option(help="of split and training")] = 0,
    data_licence: Annotated[str, typer.Option(help="SPDX identifier")] = "NOASSERTION",
    lr: Annotated[float | None, typer.Option(help="learning rate; may change when a run goes on")] = None,
) -> None:
    """Train a generator on your own pictures or volumes and make a bundle of it; a stopped run goes on."""
    from monai_genaug.blueprints import train_on_folder
    from monai_genaug.engines import NonFiniteLossError

    try:
        bundle = train_on_folder(data, out, model, name, size, epochs, subject, seed, data_licence, lr)
    except (ValueError, OSError) as error:
        typer.echo(f"Error: {error}", err=True)
        raise typer.Exit(2) from error
    except NonFiniteLossError as error:
        typer.echo(f"\nError: {error}", err=True)  # below the progress bar, which doesn't end its line
        raise typer.Exit(1) from error
    typer.echo(f'generator = monai_genaug.load_generator("{bundle}")')


def _spec(name: str) -> GeneratorSpec:
    """The spec of a generator; an unknown name or a broken bundle ends the program with the reason."""
    from monai_genaug.generators.loading import load_generator

    try:
        return load_generator(name).spec
    except (ValueError, OSError) as error:  # OSError: a folder that cannot be read
        typer.echo(f"Error: {error}", err=True)
        raise typer.Exit(2) from error


def _is_non_commercial(spec: GeneratorSpec) -> bool:
    """Whether the licence of weights or data forbids commercial use: Creative Commons with the element NC."""
    return any("NC" in licence.split("-") for licence in (spec.weights_licence, spec.data_licence))
