# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""MONAI's config parser finds classes and functions of every loaded `monai*` module by their short name, ours too.

A name that exists twice makes `_target_` in any user's config ambiguous, so every public one of ours must be free.
"""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

# Runs in a process of its own: importing all of MONAI must not change what the other tests see.
_TABLES = """
import importlib, json, pkgutil, sys
import monai, monai_genaug
from monai.bundle.config_item import ComponentLocator

def walk(package, tolerated):
    # walk_packages would import packages itself and stop at optional dependencies that are not installed
    for module in pkgutil.iter_modules(package.__path__, package.__name__ + "."):
        if module.name.endswith(".__main__"):
            continue
        try:
            found = importlib.import_module(module.name)
        except tolerated:
            continue
        if module.ispkg:
            walk(found, tolerated)

walk(monai, ImportError)
walk(monai_genaug, ())
locator = ComponentLocator()
modules = locator._find_module_names()
def is_ours(name):
    return name.partition(".")[0] == "monai_genaug"
ours, theirs = [m for m in modules if is_ours(m)], [m for m in modules if not is_ours(m)]
json.dump([locator._find_classes_or_functions(ours), locator._find_classes_or_functions(theirs)], sys.stdout)
"""

Table = dict[str, list[str]]


@pytest.fixture(scope="module")
def tables() -> tuple[Table, Table]:
    """Name -> modules that define it, of our public names and of all of MONAI's."""
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", _TABLES], capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr[-3000:]
    ours, theirs = json.loads(done.stdout[done.stdout.index("[{") :])
    return {name: modules for name, modules in ours.items() if not name.startswith("_")}, theirs


def test_the_walk_sees_both_packages(tables: tuple[Table, Table]) -> None:
    ours, theirs = tables
    assert "SampleGenerator" in ours
    assert {"Compose", "DiceLoss", "VarAutoEncoder", "UNet"} <= set(theirs)


def test_no_public_name_exists_in_monai(tables: tuple[Table, Table]) -> None:
    ours, theirs = tables
    taken = {name: (ours[name], theirs[name]) for name in sorted(ours.keys() & theirs.keys())}
    assert not taken, f"names that MONAI has too (ours, MONAI's): {taken}"


def test_no_public_name_exists_twice(tables: tuple[Table, Table]) -> None:
    ours, _ = tables
    twice = {name: modules for name, modules in sorted(ours.items()) if len(modules) > 1}
    assert not twice, f"names that several modules of ours define: {twice}"
