# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Guards the public surface: names, and the order of arguments and which of them have defaults.

After a change that is meant: ``python tests/test_api_surface.py --write``, and say so in CHANGELOG.md.
"""

from __future__ import annotations

import importlib
import inspect
import json
import pkgutil
import sys
from pathlib import Path
from typing import Any

import monai_genaug

SURFACE = Path(__file__).with_name("api_surface.json")
_NOT_FOR_IMPORT = {"__main__", "cli", "experiments"}


def arguments(function: Any) -> str:
    """``(keys, prob=, *, seed=)``: names, order and which have defaults; types and values may change."""
    parameters = inspect.signature(function).parameters.values()
    words: list[str] = []
    for parameter in parameters:
        if parameter.kind is parameter.KEYWORD_ONLY and "*" not in words and not any(w[0] == "*" for w in words):
            words.append("*")
        star = {parameter.VAR_POSITIONAL: "*", parameter.VAR_KEYWORD: "**"}.get(parameter.kind, "")
        words.append(star + parameter.name + ("=" if parameter.default is not parameter.empty else ""))
    return f"({', '.join(words)})"


def describe(thing: Any) -> str | dict[str, str]:
    """Arguments of a function; of a class, those of its constructor and of our public methods, and our properties."""
    if inspect.isroutine(thing):
        return arguments(thing)
    if not inspect.isclass(thing):
        return "value"
    described = {"()": arguments(thing)} if _is_ours(thing, "__init__") else {}
    for name, member in inspect.getmembers(thing):
        if name.startswith("_") or not _is_ours(thing, name):
            continue
        if inspect.isroutine(member):
            described[name] = arguments(member)
        elif isinstance(member, property):
            described[name] = "property"
    return described


def _is_ours(cls: type, name: str) -> bool:
    owner = next((base for base in cls.__mro__ if name in vars(base)), None)
    return owner is not None and owner.__module__.startswith("monai_genaug")


def surface() -> dict[str, Any]:
    """The names at the top level; of each package or module below it, public name -> description."""
    found = [module.name for module in pkgutil.iter_modules(monai_genaug.__path__)]
    table: dict[str, Any] = {"monai_genaug": sorted(monai_genaug.__all__)}
    for name in sorted(set(found) - _NOT_FOR_IMPORT):
        module = importlib.import_module(f"monai_genaug.{name}")
        if public := sorted(getattr(module, "__all__", [])):
            table[module.__name__] = {key: describe(getattr(module, key)) for key in public}
    return table


def test_public_surface_is_the_recorded_one() -> None:
    recorded, current = json.loads(SURFACE.read_text()), surface()
    assert current == recorded, "the public names or arguments changed: see the head of this file"


def test_top_level_has_no_undeclared_public_class_or_function() -> None:
    loose = {
        name
        for name, thing in vars(monai_genaug).items()
        if not name.startswith("_") and (inspect.isclass(thing) or inspect.isfunction(thing))
    }
    assert loose <= set(monai_genaug.__all__)


def test_every_declared_name_exists() -> None:
    missing = [name for name in monai_genaug.__all__ if not hasattr(monai_genaug, name)]
    assert not missing


def test_arguments_distinguishes_order_defaults_and_stars() -> None:
    def example(keys: str, prob: float = 0.1, *rest: int, seed: int = 0, **more: int) -> None: ...
    def keyword(keys: str, *, seed: int) -> None: ...

    assert arguments(example) == "(keys, prob=, *rest, seed=, **more)"
    assert arguments(keyword) == "(keys, *, seed)"


if __name__ == "__main__":
    if sys.argv[1:] != ["--write"]:
        sys.exit("usage: python tests/test_api_surface.py --write")
    SURFACE.write_text(json.dumps(surface(), indent=2) + "\n")
