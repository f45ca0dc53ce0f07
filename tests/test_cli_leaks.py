# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""``monai-genaug leakage`` and ``monai-genaug duplicates``."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import nibabel
import numpy as np
import pytest
import torch
from click.testing import Result

from monai_genaug.generators import Provenance, load_generator, subject_hash
from monai_genaug.quality import held_out_hashes
from tests.cli_data import noise, picture_bundle, run, write_grey, write_list


@pytest.fixture
def trained(tmp_path: Path) -> Path:
    """A bundle that was trained on the pictures in ``train``, of the patients p0, p1, ..."""
    paths = write_grey(tmp_path / "train", noise(10, 0))
    generator = load_generator(picture_bundle(tmp_path / "untrained"))
    hashes = held_out_hashes(generator, [{"image": str(path)} for path in paths])
    subjects = tuple(subject_hash(f"p{number}", "salt") for number in range(10))
    provenance = Provenance(dataset="x", item_hashes=hashes.items, subject_hashes=subjects, subject_salt="salt")
    spec = generator.spec.replace(provenance=provenance).to_dict()
    return picture_bundle(tmp_path / "my_bundle", provenance=spec["provenance"])


def test_training_items_among_held_out_ones_are_found(trained: Path, tmp_path: Path) -> None:
    write_grey(tmp_path / "test", noise(4, 1))
    clean = run("leakage", trained, tmp_path / "test")
    assert clean.exit_code == 0, clean.output
    assert "no overlap" in clean.stdout
    shutil.copy(tmp_path / "train" / "007.png", tmp_path / "test" / "001_copy.png")
    found = run("leakage", trained, tmp_path / "train", tmp_path / "test", "--json")
    assert found.exit_code == 1
    reports = json.loads(found.stdout)
    assert [report["items"] for report in reports.values()] == [list(range(10)), [2]]
    assert list(reports) == [str(tmp_path / "train"), str(tmp_path / "test")]


def test_subjects_are_compared_if_asked_for(trained: Path, tmp_path: Path) -> None:
    paths = write_grey(tmp_path / "test", noise(3, 1))
    items = [{"image": path.name, "patient": f"p{8 + number}"} for number, path in enumerate(paths)]
    datalist = write_list(tmp_path / "test" / "test.json", items)
    assert run("leakage", trained, datalist).exit_code == 0
    result = run("leakage", trained, datalist, "--subject-key", "patient", "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)[str(datalist)]["subjects"] == [0, 1]
    missing = run("leakage", trained, datalist, "--subject-key", "who")
    assert missing.exit_code == 2
    assert "item 0 has no 'who'" in missing.stderr


def test_a_bundle_without_hashes_knows_nothing(tmp_path: Path) -> None:
    bundle, _ = picture_bundle(tmp_path / "bundle"), write_grey(tmp_path / "test", noise(3, 1))
    result = run("leakage", bundle, tmp_path / "test")
    assert result.exit_code == 3
    assert "unknown" in result.stdout


def test_the_parts_of_a_real_data_set(genaug_data: Path) -> None:
    file = genaug_data / "medmnist" / "breastmnist.npz"
    if not file.is_file():
        pytest.skip(f"{file} is not there")
    assert run("leakage", "breast_us_cvae", f"{file}#val").exit_code == 0
    result = run("leakage", "breast_us_cvae", f"{file}#test", "--json")
    assert result.exit_code == 1  # the official file has one image in both
    assert len(json.loads(result.stdout)[f"{file}#test"]["items"]) == 1


def pairs(result: Result) -> set[tuple[str, str]]:
    return {(pair["kind"], pair["view"]) for pair in json.loads(result.stdout)["pairs"]}


def test_duplicates_between_parts_are_found(tmp_path: Path) -> None:
    images = noise(6, 0)
    write_grey(tmp_path / "train", images)
    write_grey(tmp_path / "test", noise(5, 1))
    arguments = ("duplicates", f"train={tmp_path / 'train'}", f"test={tmp_path / 'test'}")
    clean = run(*arguments)
    assert clean.exit_code == 0, clean.output
    assert re.search(r"train and test +0 +0", clean.stdout)
    write_grey(tmp_path / "test", torch.cat([noise(5, 1), images[:2].flip(3)]))
    shutil.copy(tmp_path / "train" / "003.png", tmp_path / "test" / "copy.png")
    found = run(*arguments)
    assert found.exit_code == 1
    assert re.search(r"train and test +1 +2", found.stdout)
    assert f"exact (0.000, identity): {tmp_path}/train/003.png = {tmp_path}/test/copy.png" in found.stdout
    assert len(pairs(run(*arguments, "--json"))) == 2


def test_duplicates_within_one_part_are_no_leak(tmp_path: Path) -> None:
    write_grey(tmp_path / "train", noise(3, 0)[[0, 1, 2, 0]])
    write_grey(tmp_path / "test", noise(3, 1))
    result = run("duplicates", f"train={tmp_path / 'train'}", f"test={tmp_path / 'test'}", "--json")
    assert result.exit_code == 0
    assert pairs(result) == {("exact", "identity")}


def test_duplicates_of_volumes(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=(4, 12, 10, 9)).astype(np.float32)
    for part, chosen in (("train", (0, 1, 2)), ("test", (2, 3))):
        (tmp_path / part).mkdir()
        for number in chosen:
            volume = nibabel.Nifti1Image(values[number], np.eye(4))
            nibabel.save(volume, tmp_path / part / f"{number}.nii.gz")
    result = run("duplicates", f"train={tmp_path / 'train'}", f"test={tmp_path / 'test'}")
    assert result.exit_code == 1
    assert "2.nii.gz" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("train",), "must look like train=FOLDER"),
        (("a=train", "a=train"), "each with a name of its own"),
        (("a=nowhere",), "nowhere does not exist"),
        (("a=train", "--near", "1"), "near is 1.0, allowed: [0, 1)"),
        (("a=broken",), "1.png cannot be read"),
    ],
)
def test_bad_arguments_are_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    write_grey(tmp_path / "train", noise(2, 0))
    (tmp_path / "broken").mkdir()
    for name in "12":
        (tmp_path / "broken" / f"{name}.png").write_text("no picture")
    result = run("duplicates", *arguments)
    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stdout == ""
