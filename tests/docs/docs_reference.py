# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""The built documentation has an entry for every public name (``make docs``)."""

from __future__ import annotations

import importlib
import inspect
import json

import pytest
from sphinx.util.inventory import InventoryFile

from monai_genaug.generators import list_generators
from tests.docs.code_blocks import ROOT

BUILT = ROOT / "docs" / "_build" / "html"
SURFACE = json.loads((ROOT / "tests" / "api_surface.json").read_text())


@pytest.fixture(scope="module")
def entries() -> set[str]:
    """Full names of all entries of the reference."""
    inventory = InventoryFile.loads((BUILT / "objects.inv").read_bytes(), uri="")
    return {name for kind in inventory.data if kind.startswith("py:") for name in inventory.data[kind]}


@pytest.mark.parametrize("module", [name for name in SURFACE if name != "monai_genaug"])
def test_every_public_name_of_an_area_has_an_entry(module: str, entries: set[str]) -> None:
    names = importlib.import_module(module).__all__
    assert {f"{module}.{name}" for name in names} - entries == set()


def test_every_name_of_the_top_level_leads_to_an_entry(entries: set[str]) -> None:
    top = importlib.import_module("monai_genaug")
    page = (BUILT / "reference" / "index.html").read_text(encoding="utf-8")
    for name in SURFACE["monai_genaug"]:
        thing = getattr(top, name)
        if inspect.ismodule(thing) or not callable(thing):
            assert f"mg.{name}" in page
        else:
            homes = [f"{module}.{name}" for module in SURFACE if f"{module}.{name}" in entries]
            assert len(homes) == 1, name
            assert f"#{homes[0].replace(name, thing.__name__)}" in page


def test_public_methods_have_entries(entries: set[str]) -> None:
    assert {"monai_genaug.generators.SampleGenerator.sample", "monai_genaug.data.MedMNISTInfo.sizes"} <= entries


def test_the_gallery_shows_every_bundle() -> None:
    page = (BUILT / "cards.html").read_text(encoding="utf-8")
    for name in list_generators():
        assert f'href="cards/{name}.html"' in page
        assert f"samples of {name}" in page
