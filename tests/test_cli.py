# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""The command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from typer.testing import CliRunner

from monai_genaug.cli import app
from monai_genaug.generators.loading import list_generators
from monai_genaug.generators.spec import GeneratorSpec
from tests.class_pictures import write_class_pictures
from tests.toy import write_toy_bundle


def test_info_prints_the_spec_of_a_bundle_folder(tmp_path: Path) -> None:
    folder = write_toy_bundle(tmp_path / "toy")
    result = CliRunner().invoke(app, ["info", str(folder)])
    assert result.exit_code == 0, result.output
    spec = GeneratorSpec.from_json(result.stdout)
    assert list(spec.outputs) == ["image", "mask"]
    assert spec.spatial_shape == (16, 16, 16)


def test_info_of_an_unknown_name_fails_and_says_so() -> None:
    result = CliRunner().invoke(app, ["info", "no_such_generator"])
    assert result.exit_code == 2
    assert "no_such_generator" in result.stderr
    assert result.stdout == ""


def test_list_shows_every_shipped_generator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    result = CliRunner().invoke(app, ["list"])
    assert result.exit_code == 0, result.output
    assert "licence" in result.stdout
    for name in list_generators():
        assert name in result.stdout


def test_module_and_entry_point_are_the_same_program() -> None:
    (script,) = entry_points(group="console_scripts", name="monai-genaug")
    assert script.load() is app
    done = subprocess.run(
        [sys.executable, "-m", "monai_genaug", "--help"],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "NO_COLOR": "1"},
    )
    assert done.returncode == 0, done.stderr
    for command in ("list", "info", "demo", "train", "audit", "leakage", "duplicates"):
        assert command in done.stdout


def test_importing_the_command_line_loads_nothing_that_a_command_needs() -> None:
    code = "import json, sys, monai_genaug\nbefore = set(sys.modules)\nimport monai_genaug.cli\n"
    code += "print(json.dumps(sorted(set(sys.modules) - before)))"
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    added = json.loads(done.stdout)
    late = ("monai_genaug.blueprints", "monai_genaug.experiments", "matplotlib", "sklearn", "nilearn", "ignite")
    late = (*late, "monai_genaug.cli.item_lists", "monai_genaug.quality.audit")
    assert "monai_genaug.cli" in added
    assert not [name for name in added if name.startswith(late)]


def test_bad_input_to_train_is_one_line(tmp_path: Path) -> None:
    write_class_pictures(tmp_path / "data")
    (tmp_path / "data" / "normal").mkdir()
    result = CliRunner().invoke(app, ["train", str(tmp_path / "data"), "--out", str(tmp_path / "out")])
    assert result.exit_code == 2
    assert result.stderr.startswith(f"Error: {tmp_path / 'data' / 'normal'} has 0 images")
    assert result.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()
