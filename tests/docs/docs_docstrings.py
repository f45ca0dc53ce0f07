# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""The examples of the docstrings run, and every name of the top level has one (``make docs``)."""

from __future__ import annotations

import doctest
import importlib
import inspect
from pathlib import Path
from typing import Any

import monai.engines
import monai.transforms
import pytest
import torch
import torchvision

import monai_genaug as mg
from tests.test_api_surface import surface


def _public() -> dict[str, Any]:
    """Full name -> every public class and function, once."""
    found: dict[int, tuple[str, Any]] = {}
    for module in surface():
        for name in importlib.import_module(module).__all__:
            thing = getattr(importlib.import_module(module), name)
            if inspect.isclass(thing) or inspect.isfunction(thing):
                found[id(thing)] = (f"{thing.__module__}.{thing.__qualname__}", thing)
    return dict(sorted(found.values(), key=lambda pair: pair[0]))


def _examples(name: str, thing: Any) -> list[doctest.DocTest]:
    given = {"mg": mg, "torch": torch, "torchvision": torchvision, **vars(monai.engines), **vars(monai.transforms)}
    found = doctest.DocTestFinder(recurse=True).find(thing, name, globs=None, extraglobs={**given, **_short_names()})
    return [test for test in found if test.examples]


def _short_names() -> dict[str, Any]:
    return {thing.__name__: thing for thing in PUBLIC.values()}


PUBLIC = _public()
WITH_EXAMPLES = [name for name, thing in PUBLIC.items() if _examples(name, thing)]


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_examples_of_a_docstring(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for test in _examples(name, PUBLIC[name]):
        reported: list[str] = []
        results = doctest.DocTestRunner(verbose=False).run(test, out=reported.append)
        assert results.failed == 0, "".join(reported)
        assert results.attempted > 0


def test_all_names_of_the_top_level_have_an_example() -> None:
    things = (getattr(mg, name) for name in mg.__all__)
    described = {f"{t.__module__}.{t.__qualname__}" for t in things if inspect.isclass(t) or inspect.isfunction(t)}
    assert described - set(WITH_EXAMPLES) == set()


def test_no_example_is_skipped() -> None:
    skipped = [
        name
        for name in WITH_EXAMPLES
        for test in _examples(name, PUBLIC[name])
        if any(example.options.get(doctest.SKIP) for example in test.examples)
    ]
    assert skipped == []
