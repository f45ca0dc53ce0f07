# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""How a command ends when its arguments or data cannot be used."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import typer

__all__ = ["usage_errors"]


@contextmanager
def usage_errors() -> Iterator[None]:
    """Turns ``ValueError`` and ``OSError`` into one line on stderr and exit code 2."""
    try:
        yield
    except (ValueError, OSError) as error:
        typer.echo(f"Error: {error}", err=True)
        raise typer.Exit(2) from error
