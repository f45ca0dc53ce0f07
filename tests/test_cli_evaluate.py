# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""``monai-genaug evaluate``."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import torch
from torch import nn

from monai_genaug.experiments.feature_comparison import comparison_section
from monai_genaug.experiments.feature_quality import FeatureQuality
from monai_genaug.generators import load_generator
from monai_genaug.metrics import RandomFeatures, feature_metric_values
from tests.cli_data import noise, picture_bundle, run, write_grey
from tests.toy import write_toy_bundle

FILES = ["evaluation.json", "evaluation.md"]
GAN = "breast_us_cgan"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A bundle, pictures of noise in ``real`` and pictures of the bundle in ``made``; the command runs beside them."""
    bundle = picture_bundle(tmp_path / "bundle")
    write_grey(tmp_path / "real", noise(40, 0))
    write_grey(tmp_path / "made", load_generator(bundle).sample(range(30))["image"])
    monkeypatch.chdir(tmp_path)
    return tmp_path


def class_folders(folder: Path) -> Path:
    for number, name in enumerate(("malignant", "normal or benign")):
        write_grey(folder / name, noise(30, number))
    return folder


def rows(text: str) -> dict[tuple[str, str], dict[str, float]]:
    return {(row["scope"], row["images"]): row for row in json.loads(text)["rows"]}


def test_samples_beside_real_images(here: Path) -> None:
    result = run("evaluate", "bundle", "--real", "real", "--features", "random", "--out", "new", "--json")
    assert result.exit_code == 0, result.output
    found = rows(result.stdout)
    assert list(found) == [("all", "synthetic"), ("all", "real")]
    synthetic, real = found.values()
    assert (synthetic["count"], real["count"], synthetic["n_test"], real["n_test"]) == (20, 20, 20, 20)
    assert synthetic["values"]["frechet_distance"] > 3 * real["values"]["frechet_distance"]
    assert synthetic["values"]["precision"] < real["values"]["precision"]
    assert sorted(path.name for path in (here / "new").iterdir()) == FILES
    record = json.loads((here / "new" / "evaluation.json").read_text())
    assert record == json.loads(result.stdout)
    assert (record["generator"], record["real"], record["extractor"]) == ("bundle", "real", "random")
    section = comparison_section(FeatureQuality.from_dict(record))
    assert (here / "new" / "evaluation.md").read_text().endswith(f"{section}\n")


def test_the_table_for_people(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    result = run("evaluate", "bundle", "--real", "real", "--count", "9")
    lines = result.stdout.splitlines()
    cells = {line.split()[0]: re.split(r" {2,}", line.strip()) for line in lines if line.strip()}
    assert cells["synthetic"][1:3] == ["9", "20"]
    assert cells["real"][1:3] == ["20", "20"]
    assert "Features: medical." in result.stdout


def test_equal_commands_give_equal_figures(here: Path) -> None:
    arguments = ("evaluate", "bundle", "--real", "real", "--json")
    first = run(*arguments).stdout
    assert run(*arguments).stdout == first
    assert run(*arguments, "--seed", "1").stdout != first


def test_each_class_with_the_mixture_of_the_real_images(here: Path) -> None:
    class_folders(here / "classes")
    result = run("evaluate", GAN, "--real", "classes", "--per-class", "--json", "--features", "random")
    assert result.exit_code == 0, result.output
    counts = {key: row["count"] for key, row in rows(result.stdout).items()}
    assert counts == {
        ("all", "synthetic"): 30,
        ("all", "real"): 30,
        ("malignant", "synthetic"): 15,
        ("malignant", "real"): 15,
        ("normal or benign", "synthetic"): 15,
        ("normal or benign", "real"): 15,
    }


def test_two_folders_of_files(here: Path) -> None:
    result = run("evaluate", "--synthetic", "made", "--real", "real", "--features", "random", "--count", "30", "--json")
    assert result.exit_code == 0, result.output
    record, found = json.loads(result.stdout), rows(result.stdout)
    assert (record["generator"], record["sha256"], record["synthetic"]) == (None, None, "made")
    made = load_generator("bundle").sample(range(30))["image"]
    features = RandomFeatures()((made * 255).round().div(255))
    vendi = feature_metric_values(features, features, ["vendi_score"])["vendi_score"]
    assert found["all", "synthetic"]["values"]["vendi_score"] == pytest.approx(vendi, rel=1e-4)
    in_its_space = run("evaluate", "bundle", "--synthetic", "made", "--real", "real", "--features", "random", "--json")
    assert in_its_space.exit_code == 0, in_its_space.output
    assert json.loads(in_its_space.stdout)["generator"] == "bundle"


def test_generated_files_and_pools(here: Path) -> None:
    class_folders(here / "classes")
    assert run("generate", GAN, "--count", "8", "--format", "png", "--out", "files").exit_code == 0
    assert run("generate", GAN, "--count", "8", "--out", "pool").exit_code == 0
    files = run("evaluate", "--synthetic", "files", "--real", "files", "--json")
    assert files.exit_code == 0, files.output
    assert rows(files.stdout)["all", "real"]["count"] == 8
    pool = run("evaluate", "pool", "--real", "classes", "--json")
    assert pool.exit_code == 0, pool.output
    assert json.loads(pool.stdout)["generator"] == GAN
    assert rows(pool.stdout)["all", "synthetic"]["count"] == 16  # each item once, though 30 are wanted


def test_volumes(here: Path) -> None:
    write_toy_bundle(here / "volumes")
    assert run("generate", "volumes", "--count", "7", "--format", "nifti", "--out", "nifti").exit_code == 0
    for arguments in (("volumes",), ("--synthetic", "nifti")):
        result = run("evaluate", *arguments, "--real", "nifti", "--features", "random", "--json")
        assert result.exit_code == 0, result.output
        assert list(rows(result.stdout)) == [("all", "synthetic")]


def test_features_of_a_file_need_trust(here: Path) -> None:
    network = nn.Sequential(nn.AdaptiveAvgPool2d(4), nn.Flatten())
    torch.jit.save(torch.jit.trace(network, torch.zeros(1, 3, 224, 224)), here / "features.ts")
    arguments = ("evaluate", "bundle", "--real", "real", "--features", "features.ts", "--json")
    refused = run(*arguments)
    assert (refused.exit_code, "--trust" in refused.stderr) == (2, True)
    result = run(*arguments, "--trust")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["extractor"] == "features"


def test_a_report_is_not_overwritten_without_force(here: Path) -> None:
    (here / "out").mkdir()
    (here / "out" / "evaluation.md").write_text("mine")
    arguments = ("evaluate", "bundle", "--real", "real", "--out", "out")
    result = run(*arguments)
    assert result.exit_code == 2
    assert "has evaluation.md of another evaluation" in result.stderr
    assert [path.read_text() for path in (here / "out").iterdir()] == ["mine"]
    assert run(*arguments, "--force").exit_code == 0
    assert sorted(path.name for path in (here / "out").iterdir()) == FILES


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--real", "real"), "needed: NAME, or --synthetic"),
        (("bundle", "--real", "nowhere"), "nowhere does not exist"),
        (("nothing", "--real", "real"), "is neither a folder nor a shipped generator"),
        (("bundle", "--real", "real", "--features", "best"), "allowed: medical, random, inception or a TorchScript"),
        (("bundle", "--real", "real", "--count", "5"), "there are 5 synthetic images, needed: 6"),
        (("bundle", "--real", "few"), "there are 4 real images, needed: 6"),
        (("bundle", "--real", "real", "--per-class"), "the real images have no classes"),
        (("bundle", "--real", "real", "--truncation", "2"), "truncation is 2.0"),
        ((GAN, "--real", "real"), "item 0 of real"),
    ],
)
def test_bad_arguments_are_one_line(here: Path, arguments: tuple[str, ...], message: str) -> None:
    write_grey(here / "few", noise(4, 0))
    before = sorted(here.rglob("*"))
    result = run("evaluate", *arguments, "--out", "out")
    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stdout == ""
    assert sorted(here.rglob("*")) == before
