# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""What a wheel contains: all code and bundles but those that are not for commercial use."""

from __future__ import annotations

import email
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from monai_genaug.generators import bundle_folder, list_generators

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    builders = pytest.importorskip("hatchling.builders.wheel", reason="building a wheel needs hatchling")
    folder = tmp_path_factory.mktemp("wheel")
    (built,) = builders.WheelBuilder(str(ROOT)).build(directory=str(folder), versions=["standard"])
    return Path(built)


@pytest.fixture(scope="module")
def names(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def non_commercial() -> set[str]:
    return {name for name, spec in list_generators().items() if "NC" in spec.weights_licence.split("-")}


def test_commercial_bundles_are_complete(names: set[str]) -> None:
    for name in set(list_generators()) - non_commercial():
        files = [path for path in bundle_folder(name).rglob("*") if path.is_file() and "__pycache__" not in path.parts]
        assert {path.relative_to(ROOT).as_posix() for path in files} <= names
        assert any(path.endswith(f"/licenses/monai_genaug/bundles/{name}/LICENSE") for path in names)


def test_the_feature_networks_come_with_their_licence(names: set[str]) -> None:
    weights = "monai_genaug/metrics/features/weights/"
    assert {weights + name for name in ("medical_2d.pt", "medical_3d.pt")} <= names
    assert any(path.endswith(f"/licenses/{weights}LICENSE") for path in names)


def test_the_licence_expression_names_code_and_all_shipped_weights(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (metadata,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        fields = email.message_from_bytes(archive.read(metadata))
    weights = {spec.weights_licence for name, spec in list_generators().items() if name not in non_commercial()}
    assert set(fields["License-Expression"].split(" AND ")) == {"Apache-2.0", *weights}


def test_nothing_is_there_of_non_commercial_bundles(names: set[str]) -> None:
    forbidden = non_commercial()
    assert forbidden
    assert [path for path in names for name in forbidden if name in path] == []


def test_code_and_configs_are_there_and_nothing_else(names: set[str]) -> None:
    code = {path.relative_to(ROOT).as_posix() for path in (ROOT / "monai_genaug").rglob("*.py")}
    assert code <= names
    assert {"monai_genaug/py.typed", "monai_genaug/blueprints/metadata.json"} <= names
    assert {path.split("/")[0].split("-")[0] for path in names} == {"monai_genaug"}
    assert not [path for path in names if path.endswith(".pyc")]


def test_an_unpacked_wheel_lists_its_bundles(wheel: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", "import monai_genaug as mg; print(mg.__file__, *mg.list_generators())"],
        capture_output=True,
        text=True,
        timeout=250,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )
    assert done.returncode == 0, done.stderr
    file, *found = done.stdout.split()
    assert Path(file).is_relative_to(tmp_path)
    assert set(found) == set(list_generators()) - non_commercial()


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new virtual environment with the wheel; everything else comes from the environment of the tests."""
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True, timeout=100)
    install = ["install", "--quiet", "--no-deps", "--no-index", "--disable-pip-version-check", wheel]
    subprocess.run([sys.executable, "-m", "pip", "--python", folder, *install], check=True, timeout=200)
    (packages,) = folder.glob("lib/python*/site-packages")
    others = {sysconfig.get_path(name) for name in ("purelib", "platlib")}
    (packages / "others.pth").write_text("\n".join(sorted(others)))
    return folder


def run_there(environment: Path, program: str, *arguments: str, cwd: Path) -> str:
    """The output of a program of the environment, outside the repository and without real data."""
    variables = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "GENAUG_DATA")}
    done = subprocess.run(
        [environment / "bin" / program, *arguments],
        capture_output=True,
        text=True,
        timeout=800,
        cwd=cwd,
        env={**variables, "PYTHONWARNINGS": "ignore"},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.mark.timeout(900)
def test_every_command_of_an_installed_wheel(environment: Path, tmp_path: Path) -> None:
    pytest.importorskip("nilearn", reason="the demo needs nilearn")
    shutil.copy(ROOT / "tests" / "wheel_commands.py", tmp_path)
    folder = Path(run_there(environment, "python", "wheel_commands.py", cwd=tmp_path).splitlines()[-1])
    assert folder.is_relative_to(environment)


def test_the_program_of_an_installed_wheel(environment: Path, tmp_path: Path) -> None:
    found = json.loads(run_there(environment, "monai-genaug", "list", "--json", cwd=tmp_path))
    assert {entry["name"] for entry in found} == set(list_generators()) - non_commercial()
    assert not list(tmp_path.iterdir())
