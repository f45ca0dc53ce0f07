# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""``monai-genaug list``."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from monai_genaug.cli import app
from monai_genaug.generators import loading
from tests.toy import write_toy_bundle

FREE, FORBIDDEN, WARNED, BOTH = "chest_xray_joint_vae", "skin_lesion_sngan", "breast_us_cgan", "skin_lesion_acgan"
WARNINGS = {WARNED: ["Few images of class 'a'.", "The samples cover 12% of the real images [k = 5]."], BOTH: ["Third."]}
LICENCES = {FORBIDDEN: "CC-BY-NC-4.0", BOTH: "CC-BY-NC-SA-4.0"}
CLASSES = {FREE: ("normal", "pneumonia"), BOTH: ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc")}


@pytest.fixture
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Four bundles instead of the shipped ones, 80 columns."""
    for name in (FREE, FORBIDDEN, WARNED, BOTH):
        change(write_toy_bundle(tmp_path / name, (16, 16), mask=name == FREE), name)
    monkeypatch.setattr(loading, "_BUNDLES", tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    return tmp_path


def change(bundle: Path, name: str) -> None:
    path = bundle / "configs" / "generator.json"
    config: dict[str, Any] = json.loads(path.read_text())
    config["spec"]["weights_licence"] = LICENCES.get(name, "CC-BY-4.0")
    config["spec"]["warnings"] = WARNINGS.get(name, [])
    config["spec"]["classes"] = {str(i): text for i, text in enumerate(CLASSES.get(name, ()))} or None
    path.write_text(json.dumps(config))


def listed(*arguments: str) -> list[str]:
    result = CliRunner().invoke(app, ["list", *arguments])
    assert result.exit_code == 0, result.output
    return [line.rstrip() for line in result.stdout.splitlines()]


def row(lines: list[str], name: str) -> str:
    (found,) = [line for line in lines if line.startswith(name)]
    return found


def test_rows_fit_80_columns(shipped: Path) -> None:
    lines = listed()
    assert max(map(len, lines)) <= 80
    assert lines[0].split() == ["name", "makes", "shape", "classes", "licence"]
    expected = {
        FREE: ["chest_xray_joint_vae", "image, mask", "16x16", "normal, pneumonia", "CC-BY-4.0"],
        FORBIDDEN: ["skin_lesion_sngan*", "image", "16x16", "-", "CC-BY-NC-4.0"],
        WARNED: ["breast_us_cgan [1]", "image", "16x16", "-", "CC-BY-4.0"],
    }
    for name, cells in expected.items():
        assert re.split(r" {2,}", row(lines, name)) == cells
    assert row(lines, BOTH).startswith("skin_lesion_acgan* [2]  image ")
    for name in CLASSES[BOTH]:
        assert any(re.search(rf"\b{name}\b", line) for line in lines)


def test_a_footnote_per_warning_and_one_for_licences(shipped: Path) -> None:
    notes = " ".join(line for line in listed())
    assert notes.count("* not for commercial use") == 1
    for text in ("[1] Few images of class 'a'.", "[1] The samples cover 12% of the real images [k = 5].", "[2] Third."):
        assert notes.count(text) == 1


def test_commercial_leaves_the_others_out(shipped: Path) -> None:
    lines = listed("--commercial")
    text = "\n".join(lines)
    assert FREE in text
    assert "breast_us_cgan [1]" in text
    assert "skin_lesion" not in text
    assert "commercial" not in text
    assert "[2]" not in text


def test_what_is_derived_from_non_commercial_data_is_marked(shipped: Path) -> None:
    path = shipped / FREE / "configs" / "generator.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps({**config, "spec": {**config["spec"], "data_licence": "CC-BY-NC-4.0"}}))
    assert row(listed(), FREE).startswith(f"{FREE}* ")
    assert FREE not in "\n".join(listed("--commercial"))


def test_what_makes_one_sample_at_a_time_is_marked(shipped: Path) -> None:
    path = shipped / FREE / "configs" / "generator.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps({**config, "spec": {**config["spec"], "reproducible_batches": False}}))
    lines = listed()
    assert row(lines, FREE).startswith(f"{FREE}~ ")
    assert " ".join(lines).count("~ makes one sample at a time") == 1


def test_json_for_machines(shipped: Path) -> None:
    found = {entry["name"]: entry for entry in json.loads("\n".join(listed("--json")))}
    assert list(found) == sorted((FREE, FORBIDDEN, WARNED, BOTH))
    assert [found[name]["commercial"] for name in (FREE, FORBIDDEN)] == [True, False]
    assert found[WARNED]["warnings"] == WARNINGS[WARNED]
    assert found[BOTH]["classes"]["4"] == "mel"
    assert found[FREE]["spatial_shape"] == [16, 16]
    assert set(json.loads("\n".join(listed("--json", "--commercial")))[0]) == set(found[FREE])


def test_without_marks_there_are_no_footnotes(shipped: Path) -> None:
    for name in (FORBIDDEN, WARNED, BOTH):
        (shipped / name / "configs" / "generator.json").unlink()
    lines = listed()
    assert [line for line in lines if line][-1].startswith(FREE)
