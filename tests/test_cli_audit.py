# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""``monai-genaug audit``."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
import torch

from monai_genaug.generators import derive_seed, load_generator
from monai_genaug.quality import AuditReport, AuditThresholds
from tests.cli_data import noise, picture_bundle, run, write_grey, write_list
from tests.experiments.test_bundle_quality import toy_bundle, toy_data

FILES = ["audit.json", "audit.md", "closest_pairs.png"]
SAMPLES = 30


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return picture_bundle(tmp_path / "bundle")


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """Pictures that the bundle has not learnt, for training and held out."""
    for name, seed in (("train", 0), ("test", 1)):
        write_grey(tmp_path / name, noise(40, seed))
    return tmp_path / "train", tmp_path / "test"


def sources(folders: tuple[Path, Path]) -> tuple[str, ...]:
    return ("--train", str(folders[0]), "--held-out", str(folders[1]))


def test_a_generator_that_knows_nothing_passes(bundle: Path, folders: tuple[Path, Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = run("audit", bundle, *sources(folders), "--samples", SAMPLES, "--out", out)
    assert result.exit_code == 0, result.output
    assert "The privacy audit passes." in result.stdout
    assert "30 samples, 40 training items, 40 held-out items" in result.stdout
    assert sorted(path.name for path in out.iterdir()) == FILES
    report = AuditReport.from_dict(json.loads((out / "audit.json").read_text()))
    assert (report.ok, report.seed) == (True, 0)
    assert report.to_markdown() == (out / "audit.md").read_text()


def test_a_report_is_not_overwritten_without_force(bundle: Path, folders: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "audit.md").write_text("mine")
    arguments = ("audit", bundle, *sources(folders), "--samples", "20", "--out", tmp_path / "out")
    result = run(*arguments)
    assert result.exit_code == 2
    assert "has audit.md of another audit" in result.stderr
    assert [path.read_text() for path in (tmp_path / "out").iterdir()] == ["mine"]
    assert run(*arguments, "--force").exit_code == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == FILES
    assert "mine" not in (tmp_path / "out" / "audit.md").read_text()


def test_a_generator_of_training_items_fails(bundle: Path, folders: tuple[Path, Path], tmp_path: Path) -> None:
    seeds = [derive_seed("audit", 3, -1, i) for i in range(40)]  # the seeds of the audit
    write_grey(folders[0], load_generator(bundle).sample(seeds)["image"])
    arguments = ("audit", bundle, *sources(folders), "--samples", SAMPLES, "--seed", "3")
    result = run(*arguments, "--json")
    assert result.exit_code == 1, result.output
    report = AuditReport.from_dict(json.loads(result.stdout))
    failed = {check.name for check in report.checks if not check.passed}
    assert {"exact_copies", "distance_ratio"} <= failed
    table = run(*arguments)
    assert table.exit_code == 1
    assert "FAILS" in table.stdout
    assert "treat samples as confidential as the training images" in " ".join(table.stdout.split())


def test_limits_of_ones_own(bundle: Path, folders: tuple[Path, Path]) -> None:
    seeds = [derive_seed("audit", 0, -1, i) for i in range(1)]
    write_grey(folders[0], torch.cat([load_generator(bundle).sample(seeds)["image"], noise(39, 0)]))
    arguments = ("audit", bundle, *sources(folders), "--samples", SAMPLES)
    assert run(*arguments).exit_code == 1  # one copy among 30 samples
    names = [field.name for field in dataclasses.fields(AuditThresholds) if field.name != "significance"]
    limits = [f"--limit={name}=0.99" for name in names]
    assert run(*arguments, *limits).exit_code == 0
    assert run(*arguments, *limits, "--limit=exact_copies=0.01").exit_code == 1


def test_parts_of_the_training_config(tmp_path: Path) -> None:
    bundle, data = toy_bundle(tmp_path / "toy", (16, 16)), toy_data(tmp_path / "data", (16, 16))
    result = run("audit", bundle, "--data", data, "--samples", "20", "--json", "--extractor", "random")
    assert result.exit_code in (0, 1), result.output
    report = json.loads(result.stdout)
    assert (report["n_train"], report["n_held_out"], report["extractor"]) == (30, 30, "random")
    missing = run("audit", bundle, "--data", tmp_path)
    assert missing.exit_code == 2
    assert "images.npy" in missing.stderr


def test_lists_with_parts_and_tables(bundle: Path, folders: tuple[Path, Path], tmp_path: Path) -> None:
    names = sorted(path.name for path in folders[0].iterdir())
    lists = {"training": [{"picture": f"train/{name}", "who": name[:2]} for name in names], "other": 3}
    write_list(tmp_path / "lists.json", lists)
    (tmp_path / "test.csv").write_text("\n".join(["picture,who", *(f"{name},t{name[:2]}" for name in names)]))
    keys = ("--image-key", "picture", "--subject-key", "who", "--samples", "20")
    parts = ("--train", f"{tmp_path}/lists.json#training", "--held-out", tmp_path / "test.csv")
    nowhere = run("audit", bundle, *parts, *keys)
    assert nowhere.exit_code == 2
    assert "images of" in nowhere.stderr  # more than one picture of each name lies beside the table
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "test.csv").rename(tmp_path / "elsewhere" / "test.csv")
    folders[1].rename(tmp_path / "elsewhere" / "test")
    parts = (*parts[:3], tmp_path / "elsewhere" / "test.csv")
    assert run("audit", bundle, *parts, *keys).exit_code == 0
    unknown = run("audit", bundle, "--train", tmp_path / "lists.json", "--held-out", folders[0])
    assert unknown.exit_code == 2
    assert "lists.json#training" in unknown.stderr


def test_subjects_in_both_parts_are_refused(bundle: Path, folders: tuple[Path, Path]) -> None:
    result = run("audit", bundle, *sources(folders), "--subject-key", r"(\d\d)\d\.png")
    assert result.exit_code == 2
    assert "are in both parts" in result.stderr


def test_classes_go_by_the_names_of_folders(tmp_path: Path) -> None:
    for part, seed in (("train", 0), ("test", 1)):
        for number, name in enumerate(("malignant", "normal or benign")):
            write_grey(tmp_path / part / name, noise(12, 10 * seed + number))
    folders = (tmp_path / "train", tmp_path / "test")
    result = run("audit", "breast_us_cgan", *sources(folders), "--samples", "20", "--json")
    assert result.exit_code in (0, 1), result.output
    assert {check["scope"] for check in json.loads(result.stdout)["checks"]} == {"all", "malignant", "normal or benign"}
    (tmp_path / "test" / "malignant").rename(tmp_path / "test" / "bad")
    unknown = run("audit", "breast_us_cgan", *sources(folders))
    assert unknown.exit_code == 2
    assert "item 0 of held-out: class 'bad' is unknown" in unknown.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "needed: --train and --held-out together, or --data alone"),
        (("--train", "train"), "needed: --train and --held-out"),
        (("--train", "nowhere", "--held-out", "test"), "nowhere does not exist"),
        (("--data", "nowhere"), "nowhere does not exist"),
        (("--data", "."), r"train.json does not exist"),
        (("--train", "train", "--held-out", "test", "--extractor", "best"), "allowed: pixels, medical, random"),
        (("--train", "train", "--held-out", "test", "--limit", "membership"), "a name, = and a number"),
        (("--train", "train", "--held-out", "test", "--limit", "size=1"), "limit 'size' is unknown, allowed: exact"),
        (("--train", "train", "--held-out", "test", "--limit", "copies=2"), "copies is 2.0, allowed: (0, 1)"),
        (("--train", "train", "--held-out", "test", "--samples", "0"), "n_samples is 0"),
        (("--train", "train", "--held-out", "test", "--out", "train/000.png"), "which is no folder"),
        (("--train", "train/000.png", "--held-out", "test"), "is none of these"),
    ],
)
def test_bad_arguments_are_one_line(
    bundle: Path,
    folders: tuple[Path, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    result = run("audit", "bundle", *arguments)
    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stdout == ""
    assert sorted(tmp_path.rglob("*")) == before


def test_a_broken_picture_is_named(bundle: Path, folders: tuple[Path, Path]) -> None:
    (folders[1] / "003.png").write_text("no picture")
    result = run("audit", bundle, *sources(folders))
    assert result.exit_code == 2
    assert "item 3 of held-out" in result.stderr
