# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""The public names of the package as entries of the reference, in reStructuredText."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
from functools import lru_cache
from typing import Any

from sphinx.pycode import ModuleAnalyzer

import monai_genaug

_LONGEST_VALUE = 200
_SENTENCE_END = re.compile(r"(?<=[.:])\s+(?=[A-Z])")


def areas() -> list[str]:
    """Packages and modules below the top level that have public names."""
    found = [f"monai_genaug.{module.name}" for module in pkgutil.iter_modules(monai_genaug.__path__)]
    skipped = {"monai_genaug.cli", "monai_genaug.experiments"}
    return [name for name in found if "._" not in name and name not in skipped and public(name)]


def public(module: str) -> list[str]:
    """What the module exports, in its order."""
    return list(getattr(importlib.import_module(module), "__all__", ()))


@lru_cache(maxsize=1)
def homes() -> dict[str, str]:
    """Public name -> full name of its entry."""
    return {name: f"{area}.{name}" for area in areas() for name in public(area)}


def reference(module: str) -> str:
    """A table and the entries of a module's public names."""
    package = importlib.import_module(module)
    names = [name for name in public(module) if not inspect.ismodule(getattr(package, name))]
    first: dict[int, str] = {}  # of several names of one class, the one that it was defined by
    for name in names:
        thing = getattr(package, name)
        if getattr(thing, "__name__", name) == name:
            first[id(thing)] = name
    own = [name for name in names if first.get(id(getattr(package, name)), name) == name]
    lines = [f".. currentmodule:: {module}", ""]
    lines += [".. list-table::", "   :class: names", "   :widths: 40 60", ""]
    for name in own:
        lines += [f"   * - :py:obj:`{name} <{module}.{name}>`", f"     - {_summary(module, name)}"]
    for name in own:
        lines += ["", *_entry(module, name)]
        aliases = [a for a in names if a not in own and getattr(package, a) is getattr(package, name)]
        for alias in aliases:
            lines += ["", f".. py:class:: {alias}", "", f"   Another name of :py:class:`~{module}.{name}`."]
    return "\n".join(lines) + "\n"


def top_level() -> str:
    """A table of the names of ``monai_genaug`` itself."""
    lines = [".. list-table::", "   :class: names", "   :widths: 40 60", ""]
    where = homes()
    seen: set[int] = set()
    for name in monai_genaug.__all__:
        thing = getattr(monai_genaug, name)
        if name not in where or id(thing) in seen or getattr(thing, "__name__", name) != name:
            continue
        seen.add(id(thing))
        module = where[name].rpartition(".")[0]
        lines += [f"   * - :py:obj:`{name} <{where[name]}>`", f"     - {_summary(module, name)}"]
    return "\n".join(lines) + "\n"


def _entry(module: str, name: str) -> list[str]:
    thing = getattr(importlib.import_module(module), name)
    if inspect.isclass(thing):
        kind = "autoexception" if issubclass(thing, BaseException) else "autoclass"
        called = ["   :special-members: __call__"] if "__call__" in vars(thing) else []
        return [f".. {kind}:: {module}.{name}", *called]
    if inspect.isroutine(thing):
        return [f".. autofunction:: {module}.{name}"]
    value = " ".join(repr(thing).replace("typing.", "").split())
    shown = [f"   :value: {value}"] if len(value) <= _LONGEST_VALUE else []
    return [f".. py:data:: {name}", *shown, "", *(f"   {line}" for line in _comment(module, name))]


def _summary(module: str, name: str) -> str:
    thing = getattr(importlib.import_module(module), name)
    described = inspect.isclass(thing) or inspect.isroutine(thing)
    text = inspect.getdoc(thing) or "" if described else "\n".join(_comment(module, name))
    paragraph = " ".join(text.partition("\n\n")[0].split())
    return _SENTENCE_END.split(paragraph)[0]


def _comment(module: str, name: str) -> list[str]:
    """The text below the assignment of a value, wherever in the package it is."""
    package = importlib.import_module(module)
    modules = [module, *_below(package)]
    for candidate in modules:
        docs = ModuleAnalyzer.for_module(candidate).find_attr_docs()
        if ("", name) in docs:
            return docs["", name]
    return []


def _below(package: Any) -> list[str]:
    paths = getattr(package, "__path__", None)
    return [found.name for found in pkgutil.walk_packages(paths, package.__name__ + ".")] if paths else []
