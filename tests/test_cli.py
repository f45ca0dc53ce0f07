# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""The command line."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from typer.testing import CliRunner

import monai_genaug
from monai_genaug.cli import app
from monai_genaug.generators import build_pool, load_generator
from monai_genaug.generators.loading import list_generators
from monai_genaug.generators.spec import GeneratorSpec
from tests.class_pictures import write_class_pictures
from tests.cli_data import picture_bundle
from tests.generators.zoo_bundles import zoo_gan
from tests.toy import write_toy_bundle

COMMANDS = ("list", "info", "preview", "generate", "convert", "evaluate", "train", "audit", "demo")
COMMANDS = (*COMMANDS, "leakage", "duplicates")


def test_info_prints_the_spec_of_a_bundle_folder(tmp_path: Path) -> None:
    folder = write_toy_bundle(tmp_path / "toy")
    result = CliRunner().invoke(app, ["info", str(folder), "--json"])
    assert result.exit_code == 0, result.output
    spec = GeneratorSpec.from_json(result.stdout)
    assert list(spec.outputs) == ["image", "mask"]
    assert spec.spatial_shape == (16, 16, 16)


def test_an_unknown_name_fails_and_the_near_one_is_suggested() -> None:
    for command in (["info"], ["preview"], ["generate", "--count", "1", "--out", "x"], ["evaluate", "--real", "x"]):
        result = CliRunner().invoke(app, [*command, "brest_us_cgan"])
        assert result.exit_code == 2
        assert "generator 'brest_us_cgan' is neither" in result.stderr
        assert "Did you mean 'breast_us_cgan'?" in result.stderr
        assert result.stdout == ""


def test_info_is_a_table_for_people(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    lines = CliRunner().invoke(app, ["info", "hippocampus_mri_rhvae"]).stdout.splitlines()
    table = dict(re.split(r" {2,}", line.strip(), maxsplit=1) for line in lines if line[:1].strip())
    spec = list_generators()["hippocampus_mri_rhvae"]
    assert table["makes mask"] == "1 channel, uint8, labels 0 background, 1 anterior, 2 posterior"
    assert table["shape"] == "48 x 64 x 48, voxels of 1 x 1 x 1 mm, orientation RAS"
    assert table["truncation"] == "1 only"
    assert table["batches"] == "any size"
    assert table["licence"] == "weights CC-BY-SA-4.0, data CC-BY-SA-4.0"
    assert table["trained on"].startswith("Medical Segmentation Decathlon, Task04_Hippocampus (135 items")
    assert table["warning"].startswith(spec.warnings[0][:40])


def test_info_says_what_is_slow_and_what_is_a_pool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    bundle = picture_bundle(tmp_path / "slow", reproducible_batches=False, data_licence="CC-BY-NC-4.0")
    shown = CliRunner().invoke(app, ["info", str(bundle)]).stdout
    assert "one call per seed: slow" in shown
    assert "not for commercial use" in shown
    assert "its encoder reads image" in shown
    build_pool(load_generator(bundle), 3, tmp_path / "pool", progress=False)
    assert "3 stored items" in CliRunner().invoke(app, ["info", str(tmp_path / "pool")]).stdout


def test_version() -> None:
    result = CliRunner().invoke(app, ["--version"])
    assert (result.exit_code, result.stdout) == (0, f"{monai_genaug.__version__}\n")


def test_names_of_generators_are_completed() -> None:
    env = {"_MONAI_GENAUG_COMPLETE": "complete_bash", "COMP_CWORD": "2"}
    for command in ("info", "preview", "generate", "evaluate", "audit", "leakage"):
        words = {**env, "COMP_WORDS": f"monai-genaug {command} breast_us"}
        result = CliRunner().invoke(app, [], prog_name="monai-genaug", env=words)
        assert result.stdout.split() == ["breast_us_cgan", "breast_us_cvae"]


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
        timeout=250,
        env={**os.environ, "NO_COLOR": "1"},
    )
    assert done.returncode == 0, done.stderr
    for command in COMMANDS:
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


def test_bundles_of_others_need_trust_and_take_a_recipe(tmp_path: Path) -> None:
    bundle = zoo_gan(tmp_path / "zoo_gan")
    (tmp_path / "recipe.json").write_text(json.dumps({"spec": {"anatomy": "moon"}}))
    arguments = ["info", str(bundle), "--recipe", str(tmp_path / "recipe.json"), "--json"]
    refused = CliRunner().invoke(app, arguments)
    assert refused.exit_code == 2
    assert "trust" in refused.stderr
    shown = CliRunner().invoke(app, [*arguments, "--trust"])
    assert shown.exit_code == 0, shown.output
    assert json.loads(shown.stdout)["anatomy"] == "moon"
    (tmp_path / "recipe.json").write_text(json.dumps({"smaple": "x"}))
    wrong = CliRunner().invoke(app, [*arguments, "--trust"])
    assert (wrong.exit_code, "smaple" in wrong.stderr) == (2, True)


def test_the_demo_replaces_no_report_without_force(tmp_path: Path) -> None:
    (tmp_path / "report.md").write_text("mine")
    result = CliRunner().invoke(app, ["demo", "--out", str(tmp_path)])
    assert result.exit_code == 2
    assert "has report.md of another demo" in result.stderr
    assert [path.read_text() for path in tmp_path.iterdir()] == ["mine"]


def test_bad_input_to_train_is_one_line(tmp_path: Path) -> None:
    write_class_pictures(tmp_path / "data")
    (tmp_path / "data" / "normal").mkdir()
    result = CliRunner().invoke(app, ["train", str(tmp_path / "data"), "--out", str(tmp_path / "out")])
    assert result.exit_code == 2
    assert result.stderr.startswith(f"Error: {tmp_path / 'data' / 'normal'} has 0 images")
    assert result.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()
