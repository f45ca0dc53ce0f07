# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""The command line: ``monai-genaug`` or ``python -m monai_genaug``.

Exit codes: 0 all is well, 1 something was found or failed, 2 wrong arguments or data that cannot be read.
"""

from __future__ import annotations

import typer

from monai_genaug.cli.auditing import audit_command
from monai_genaug.cli.leaks import duplicates_command, leakage_command
from monai_genaug.cli.listing import info_command, list_command
from monai_genaug.cli.training import demo_command, train_command

__all__ = ["app"]

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,
    help="Generative data augmentation for MONAI.",
)
app.command("list")(list_command)
app.command("info")(info_command)
app.command("demo")(demo_command)
app.command("train")(train_command)
app.command("audit")(audit_command)
app.command("leakage")(leakage_command)
app.command("duplicates")(duplicates_command)
