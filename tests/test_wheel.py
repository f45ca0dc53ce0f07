# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""What a wheel contains: all code and bundles but those that are not for commercial use."""

from __future__ import annotations

import email
import os
import subprocess
import sys
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
    assert [path for path in names for name in non_commercial() if name in path] == []


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
