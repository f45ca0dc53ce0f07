# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Importing the package costs little more than importing MONAI."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

# MONAI itself loads some of these where they are installed, so what counts is what we add to it.
_ADDED = """
import json, sys
import monai
before = set(sys.modules)
import monai_genaug
json.dump(sorted(set(sys.modules) - before), sys.stdout)
"""
_HEAVY = {"matplotlib", "nilearn", "pandas", "rich", "sklearn", "tensorboard", "typer"}


@pytest.fixture(scope="module")
def added() -> list[str]:
    """The modules that `import monai_genaug` loads after `import monai`."""
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", _ADDED], capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr[-3000:]
    names: list[str] = json.loads(done.stdout)
    return names


def test_import_loads_no_heavy_library(added: list[str]) -> None:
    assert "monai_genaug" in added
    heavy = [name for name in added if name.partition(".")[0] in _HEAVY]
    assert not heavy, f"import monai_genaug loads {heavy}; import them where they are used"


def test_import_loads_no_command_line_no_experiments_and_no_transforms_of_torchvision(added: list[str]) -> None:
    ours = ("monai_genaug.cli", "monai_genaug.experiments", "monai_genaug.transforms.torchvision")
    parts = (*ours, "torchvision.transforms.v2")  # a third of a second
    late = [name for name in added if name.startswith(parts)]
    assert not late, f"import monai_genaug loads {late}"
