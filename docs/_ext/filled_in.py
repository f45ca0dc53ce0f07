# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Puts into pages what the repository knows better: ``<!-- fill: KIND ARGUMENT -->`` becomes the text of that kind."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import public_names
from bundles import bundle_table, downstream_table, gallery
from commands import command_reference
from notebooks import notebook_sources
from sphinx.application import Sphinx

from monai_genaug.generators.bundle_reference import ALLOWED_TARGETS

_MARK = re.compile(r"^<!-- fill: (\w+) ?(\S*) -->$", re.MULTILINE)


def _names(docs: Path, module: str) -> str:
    text = public_names.reference(module) if module else public_names.top_level()
    return f"```{{eval-rst}}\n{text}```"


def _notebooks(docs: Path, argument: str) -> str:
    sources = notebook_sources(docs)
    if not sources:
        return "There are none in this checkout."
    return "\n".join(["```{toctree}", ":maxdepth: 1", "", *(source.stem for source in sources), "```"])


def _targets(docs: Path, argument: str) -> str:
    return "\n".join(["Allowed for `_target_`:", "", *(f"- `{target}`" for target in ALLOWED_TARGETS)])


_KINDS = {
    "allowed_targets": _targets,
    "commands": lambda docs, argument: command_reference(),
    "names": _names,
    "notebooks": _notebooks,
    "gallery": lambda docs, argument: gallery(docs),
    "bundle_table": lambda docs, argument: bundle_table(docs),
    "downstream_table": lambda docs, argument: downstream_table(argument),
}


def _fill(app: Sphinx, docname: str, source: list[str]) -> None:
    source[0] = _MARK.sub(lambda match: _KINDS[match[1]](Path(app.srcdir), match[2]), source[0])


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("source-read", _fill)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
