# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""``monai-genaug generate`` and ``monai-genaug convert``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from monai_genaug.cli.errors import usage_errors
from monai_genaug.cli.opening import Device, GeneratorName, open_generator
from monai_genaug.cli.printing import AsJson, Force, print_json_text

if TYPE_CHECKING:
    from monai_genaug.generators.pool_record import PoolRecord

__all__ = ["convert_command", "generate_command"]

_FORMATS = "pool, nifti, png or npz"


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
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Make samples and write them: a pool to train from, or image files with a data list.

    A command that was stopped goes on where it was when it is given again.
    """
    from monai_genaug.cli.values import plan_given
    from monai_genaug.data.generated_files import write_samples

    with usage_errors():
        generator = open_generator(name, device)
        if batch_size is not None:
            generator.batch_size = batch_size
        wanted = plan_given(count, plan or [], generator.spec.classes)
        stored: Any = dtype
        kind: Any = file_format
        record = write_samples(generator, wanted, out, kind, seed, truncation, stored, overwrite=force)
    _report(record, out, file_format, as_json)


def convert_command(
    source: Annotated[
        str, typer.Argument(metavar="SOURCE", help="a pool, or a folder of its files or their datalist.json")
    ],
    to: Annotated[str, typer.Option(help=_FORMATS)],
    out: Annotated[Path, typer.Option(help="the new folder")],
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Write a pool as image files, files as a pool, or files in another format."""
    from monai_genaug.data.generated_files import convert_samples

    with usage_errors():
        kind: Any = to
        record = convert_samples(source, out, kind, overwrite=force)
    _report(record, out, to, as_json)


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
