# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""What the page about bundles of somebody else shows can be run as it stands."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from monai_genaug.generators import MonaiBundleGenerator
from monai_genaug.generators.bundle_recipe import shipped_recipe_names
from monai_genaug.generators.zoo_files import DOCS_PAGE

PAGE = Path(__file__).parents[1] / DOCS_PAGE


def test_examples_of_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    for block in re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), flags=re.DOTALL | re.MULTILINE):
        exec(block, names)
    assert names["images"].shape == (4, 1, 16, 16)
    assert isinstance(names["generator"], MonaiBundleGenerator)
    assert names["generator"].spec.anatomy == "knee"
    assert "import glob" in capsys.readouterr().out


def test_the_page_names_the_recipes_that_are_shipped() -> None:
    assert all(f"`{name}`" in PAGE.read_text() for name in shipped_recipe_names())
