# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""``monai-genaug generate`` and ``monai-genaug convert``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from monai_genaug.cli.errors import usage_errors
from monai_genaug.cli.opening import Device, GeneratorName, Recipe, Trust, bundle_completions, open_generator
from monai_genaug.cli.outputs import check_free_files
from monai_genaug.cli.printing import AsJson, Force, print_json_text

if TYPE_CHECKING:
    from monai_genaug.generators.pool_record import PoolRecord

__all__ = ["convert_command", "generate_command"]

_FORMATS = "pool, nifti, png, npz"
_PROGRAMS = {"torchscript": (".ts", ".pt"), "torch_export": (".pt2",)}


def generate_command(
    name: GeneratorName,
    out: Annotated[Path, typer.Option(help="the new folder")],
    count: Annotated[int | None, typer.Option(help="items; of a generator with classes, of each class")] = None,
    plan: Annotated[
        list[str] | None, typer.Option(metavar="CLASS=COUNT", help="items of one class; repeatable")
    ] = None,
    file_format: Annotated[str, typer.Option("--format", help=f"{_FORMATS}; files come with a datalist.json")] = "pool",
    dtype: Annotated[
        str | None, typer.Option(help="of stored images: float32, float16 or uint8; by default float32, in png uint8")
    ] = None,
    seed: Annotated[int, typer.Option(help="item i is made from this and i")] = 0,
    truncation: Annotated[float, typer.Option(help="in (0, 1]; 1 is the whole distribution")] = 1.0,
    batch_size: Annotated[int | None, typer.Option(min=1, help="samples made at once: memory, not content")] = None,
    device: Device = "cpu",
    trust: Trust = False,
    recipe: Recipe = None,
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Make samples and write them: a pool to train from, or image files with a data list.

    A command that was stopped goes on where it was when it is given again.
    """
    from monai_genaug.cli.values import plan_given
    from monai_genaug.data.generated_files import write_samples

    with usage_errors():
        generator = open_generator(name, device, trust, recipe)
        if batch_size is not None:
            generator.batch_size = batch_size
        wanted = plan_given(count, plan or [], generator.spec.classes)
        stored: Any = dtype
        kind: Any = file_format
        record = write_samples(generator, wanted, out, kind, seed, truncation, stored, overwrite=force)
    _report(record, out, file_format, as_json)


def convert_command(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="a pool, a folder of its files or their datalist.json; for a program a generator as in generate",
            autocompletion=bundle_completions,
        ),
    ],
    to: Annotated[str, typer.Option(help=f"{_FORMATS}; programs: {', '.join(_PROGRAMS)}")],
    out: Annotated[Path, typer.Option(help="the new folder; for a program the file, which ends as its kind does")],
    trust: Trust = False,
    recipe: Recipe = None,
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Write a pool as image files, files as a pool or in another format, or a generator's network as a program.

    A program runs without this package's network classes; torchscript ends in .ts or .pt, torch_export in .pt2.
    """
    from monai_genaug.data.generated_files import convert_samples

    if to in _PROGRAMS:
        _write_program(source, to, out, trust, recipe, force, as_json)
        return
    with usage_errors():
        if to not in _FORMATS.split(", "):
            raise ValueError(f"to is {to!r}, allowed: {_FORMATS}, {', '.join(_PROGRAMS)}.")
        kind: Any = to
        record = convert_samples(source, out, kind, overwrite=force)
    _report(record, out, to, as_json)


def _write_program(
    source: str, to: str, out: Path, trust: bool, recipe: Path | None, force: bool, as_json: bool
) -> None:
    from monai_genaug.generators import export_network

    sidecar = out.with_name(f"{out.name}.json")
    with usage_errors():
        if out.suffix not in _PROGRAMS[to]:
            raise ValueError(f"out is {out}, needed for {to}: a name that ends in {' or '.join(_PROGRAMS[to])}.")
        check_free_files([out, sidecar], force)
        if not out.absolute().parent.is_dir():
            raise NotADirectoryError(f"{out.absolute().parent} is not a folder.")
        export_network(open_generator(source, trust=trust, recipe=recipe), out)
    if as_json:
        print_json_text({"files": [str(out), str(sidecar)], "format": to})
    else:
        typer.echo(f'generator = monai_genaug.load_generator("{out}", trust=True)')


def _report(record: PoolRecord, out: Path, file_format: str, as_json: bool) -> None:
    spec = record.generator
    if as_json:
        names = spec.classes or {}
        plan = {names.get(number, str(number)): count for number, count in record.plan if number is not None}
        values = {
            "folder": str(out),
            "format": file_format,
            "datalist": None if file_format == "pool" else str(out / "datalist.json"),
            "items": record.count,
            "plan": plan or record.count,
            "dtype": record.dtype,
            "seed": record.seed,
            "truncation": record.truncation,
            "identity": record.identity,
            "generator": spec.name,
            "weights_licence": spec.weights_licence,
            "warnings": list(spec.warnings),
        }
        print_json_text(values)
        return
    typer.echo(f"{out}: {record.count} synthetic items of {spec.name} as {file_format}")
    for warning in spec.warnings:
        typer.echo(f"Warning: {warning}", err=True)
