# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""The command line: ``monai-genaug`` or ``python -m monai_genaug``.

Exit codes: 0 all is well, 1 something was found or failed, 2 wrong arguments or data that cannot be read, 130 stopped
by Ctrl-C.
"""

from __future__ import annotations

from typing import Annotated

import typer

from monai_genaug.cli.auditing import audit_command
from monai_genaug.cli.describing import info_command
from monai_genaug.cli.evaluating import evaluate_command
from monai_genaug.cli.generating import convert_command, generate_command
from monai_genaug.cli.leaks import duplicates_command, leakage_command
from monai_genaug.cli.listing import list_command
from monai_genaug.cli.previewing import preview_command
from monai_genaug.cli.training import demo_command, train_command

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, pretty_exceptions_show_locals=False)


def _print_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        typer.echo(version("monai-genaug"))
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Generative data augmentation for MONAI."""


app.command("list")(list_command)
app.command("info")(info_command)
app.command("preview")(preview_command)
app.command("generate")(generate_command)
app.command("convert")(convert_command)
app.command("evaluate")(evaluate_command)
app.command("train")(train_command)
app.command("audit")(audit_command)
app.command("leakage")(leakage_command)
app.command("duplicates")(duplicates_command)
app.command("demo")(demo_command)
