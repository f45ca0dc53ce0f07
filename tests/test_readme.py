# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""What the readme, the guide and the model card show can be run as it stands."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import torch
from monai.bundle import ConfigParser
from monai.transforms import Compose
from typer.testing import CliRunner

from monai_genaug.cli import app
from monai_genaug.transforms import RandGenerativeSampled
from tests.class_pictures import CLASSES, write_class_pictures
from tests.tiny_training import BUNDLE, write_volumes

README = Path(__file__).parents[1] / "README.md"
TRAIN_YOUR_OWN = README.parent / "docs" / "train_your_own.md"
ITEM = {"image": "imagesTr", "label": "labelsTr"}


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), flags=re.DOTALL | re.MULTILINE)


def run_python(page: Path) -> dict[str, Any]:
    """The names that the page's examples leave behind, run one after the other."""
    names: dict[str, Any] = {}
    for block in blocks(page, "python"):
        exec(block, names)
    return names


def test_examples_of_the_readme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names = run_python(README)
    data = write_volumes(tmp_path / "data", 1)
    item = {key: str(data / folder / "hippocampus_001.nii.gz") for key, folder in ITEM.items()}
    assert isinstance(names["chain"], Compose)
    flags, chain = set(), names["chain"].set_random_state(0)
    for _ in range(8):
        made = chain(item)
        flags.add(made["is_synthetic"])
        assert made["image"].shape == made["label"].shape == (1, *names["generator"].spec.spatial_shape)
        assert set(torch.unique(made["label"]).tolist()) <= {0, 1, 2}
    assert flags == {False, True}


def test_config_of_the_readme() -> None:
    (block,) = blocks(README, "json")
    parser = ConfigParser({"transform": json.loads(block)})
    assert isinstance(parser.get_parsed_content("transform"), RandGenerativeSampled)


def test_examples_of_the_model_card(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_python(BUNDLE / "docs" / "README.md")


def test_examples_of_the_guide_to_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_class_pictures(tmp_path / "my_images")
    (command,) = blocks(TRAIN_YOUR_OWN, "bash")
    program = ["python", "-m", "monai_genaug"]
    words = shlex.split(command)
    assert words[:3] == program
    done = CliRunner().invoke(app, [*words[3:], "--size", "8", "--epochs", "1"])
    assert done.exit_code == 0, done.output
    names = run_python(TRAIN_YOUR_OWN)
    assert names["images"].shape == (4, 1, 8, 8)
    assert names["batch"]["image"].shape == (4, 1, 8, 8)
    assert set(names["batch"]["class_name"]) <= set(CLASSES)
    chain = names["chain"].set_random_state(0)
    assert {chain(item)["is_synthetic"] for item in names["items"]} == {False, True}
