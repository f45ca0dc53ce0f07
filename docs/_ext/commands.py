# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""The commands of ``monai-genaug`` with their arguments and options, as Markdown."""

from __future__ import annotations

import inspect
from typing import Any

from typer.main import get_command

from monai_genaug.cli import app


def command_reference() -> str:
    """A section per command; commands of groups too."""
    return "\n".join(_sections(get_command(app), ["monai-genaug"]))


def _sections(command: Any, path: list[str]) -> list[str]:
    if not hasattr(command, "commands"):
        title = f"## {' '.join(path[1:])}"
        return [title, "", f"`{_usage(command, path)}`", "", _help(command), "", *_table(command), ""]
    return [line for name, member in command.commands.items() for line in _sections(member, [*path, name])]


def _usage(command: Any, path: list[str]) -> str:
    words = [_argument(parameter) for parameter in command.params if parameter.param_type_name == "argument"]
    return " ".join([*path, "[OPTIONS]", *words])


def _argument(parameter: Any) -> str:
    name = parameter.name.upper() + ("..." if parameter.nargs == -1 else "")
    return name if parameter.required else f"[{name}]"


def _help(command: Any) -> str:
    return inspect.cleandoc(command.help or "")


def _table(command: Any) -> list[str]:
    shown = [parameter for parameter in command.params if parameter.name != "help"]
    if not shown:
        return []
    return ["| | meaning | default |", "|---|---|---|", *map(_row, shown)]


def _row(parameter: Any) -> str:
    is_option = parameter.param_type_name == "option"
    name = ", ".join([*parameter.opts, *parameter.secondary_opts]) if is_option else parameter.name.upper()
    text = (parameter.help or "").replace("|", r"\|")
    return f"| `{name}` | {text} | {_default(parameter)} |"


def _default(parameter: Any) -> str:
    if parameter.required:
        return "needed"
    silent = parameter.default is None or parameter.default is False or parameter.default == ()
    return "" if silent else f"`{parameter.default}`"
