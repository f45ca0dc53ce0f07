# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""What the readme, the guides and the model card show can be run as it stands."""

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

import monai_genaug as mg
from monai_genaug.cli import app
from monai_genaug.transforms import RandGenerativeSampled
from tests.class_pictures import CLASSES, write_class_pictures
from tests.tiny_training import BUNDLE, write_volumes

README = Path(__file__).parents[1] / "README.md"
TRAIN_YOUR_OWN = README.parent / "docs" / "train_your_own.md"
POOLS = README.parent / "docs" / "pools.md"
ITEM = {"image": "imagesTr", "label": "labelsTr"}


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), flags=re.DOTALL | re.MULTILINE)


def run_python(page: Path, **names: Any) -> dict[str, Any]:
    """The names that the page's examples leave behind, run one after the other.

    Args:
        page: with blocks of Python.
        names: what the reader is supposed to have.
    """
    for block in blocks(page, "python"):
        exec(block, names)
    return names


def test_examples_of_the_readme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    data = write_volumes(tmp_path / "data", 1)
    item = {key: str(data / folder / "hippocampus_001.nii.gz") for key, folder in ITEM.items()}
    names = run_python(README, test_items=[item])
    assert isinstance(names["chain"], Compose)
    flags, chain = set(), names["chain"].set_random_state(0)
    for _ in range(8):
        made = chain(item)
        flags.add(made["is_synthetic"])
        assert made["image"].shape == made["label"].shape == (1, *names["generator"].spec.spatial_shape)
        assert set(torch.unique(made["label"]).tolist()) <= {0, 1, 2}
    assert flags == {False, True}


def test_examples_of_the_page_about_pools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names = run_python(POOLS)
    pool, generator = names["pool"], names["generator"]
    assert (len(pool), pool.record.dtype, names["class_id"]) == (100, "uint8", 1)
    assert (names["image"].shape, names["image"].dtype) == ((1, 28, 28), torch.float32)
    (made,) = generator.sample([pool.record.item_seed(99)], "normal or benign")["image"]
    torch.testing.assert_close(names["image"], made, rtol=0, atol=1 / 510 + 1e-4)
    assert mg.SamplePool("shared_pool").record.identity == pool.record.identity
    assert (names["trainer"].state.epoch, names["data"].pool.generation) == (2, 1)
    assert names["again"].record.identity == pool.record.identity
    assert [entry["label"] for entry in names["items"]] == [0] * 60 + [1] * 40
    assert generator.look_ahead == 16
    assert names["chain"]({"image": torch.zeros(1, 28, 28), "label": 0})["image"].shape == (1, 28, 28)


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
