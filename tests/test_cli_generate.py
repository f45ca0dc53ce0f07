# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""``monai-genaug generate`` and ``monai-genaug convert``."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from monai.data import load_decathlon_datalist

from monai_genaug.generators import SamplePool, build_pool, load_generator
from tests.cli_data import picture_bundle, run

GAN = "breast_us_cgan"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, in which the command runs; the bundle ``../bundle`` is beside it."""
    picture_bundle(tmp_path / "bundle")
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def names(folder: Path) -> set[str]:
    """What is in a folder, lock files left out."""
    return {path.name for path in folder.iterdir() if path.suffix != ".lock"}


def test_a_pool_by_count(here: Path) -> None:
    result = run("generate", GAN, "--count", "3", "--out", "pool", "--seed", "5", "--dtype", "uint8")
    assert result.exit_code == 0, result.output
    assert result.stdout == "pool: 6 synthetic items of breast_us_cgan as pool\n"
    plan = {"malignant": 3, "normal or benign": 3}
    expected = build_pool(load_generator(GAN), plan, here / "expected", 5, dtype="uint8", progress=False)
    pool = SamplePool(here / "pool")
    assert pool.record.identity == expected.record.identity
    assert names(here) == {"pool", "expected"}
    again = run("generate", GAN, "--count", "3", "--out", "pool", "--seed", "5", "--dtype", "uint8")
    assert again.exit_code == 2
    assert "pool exists already: choose another folder, or overwrite it (--force)" in again.stderr


def test_files_by_plan(here: Path) -> None:
    arguments = ("generate", GAN, "--plan", "normal or benign=1", "--plan", "0=2", "--format", "png", "--out", "files")
    result = run(*arguments, "--truncation", "0.5", "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found["plan"] == {"normal or benign": 1, "malignant": 2}
    assert (found["items"], found["truncation"], found["datalist"]) == (3, 0.5, "files/datalist.json")
    assert (found["generator"], found["weights_licence"]) == (GAN, "CC-BY-4.0")
    items = load_decathlon_datalist(here / "files" / "datalist.json")
    assert [item["label"] for item in items] == [1, 0, 0]
    assert run("generate", GAN, "--plan", "malignant=1", "--format", "npz", "--out", "files").exit_code == 2
    assert len(load_decathlon_datalist(here / "files" / "datalist.json")) == 3
    assert run("generate", GAN, "--plan", "malignant=1", "--format", "npz", "--out", "files", "--force").exit_code == 0
    assert len(load_decathlon_datalist(here / "files" / "datalist.json")) == 1
    assert names(here) == {"files"}


def test_the_batch_size_changes_no_sample(here: Path) -> None:
    for size in ("1", "7"):
        assert run("generate", GAN, "--count", "4", "--out", size, "--batch-size", size).exit_code == 0
    one, seven = (torch.stack([pool[i]["image"] for i in range(8)]) for pool in map(SamplePool, ("1", "7")))
    torch.testing.assert_close(one, seven, rtol=0, atol=1e-4)


def test_warnings_are_shown(here: Path, tmp_path: Path) -> None:
    bundle = picture_bundle(tmp_path / "warned", warnings=["Few images."])
    assert "Warning: Few images." in run("generate", bundle, "--count", "1", "--out", "pool").stderr


def test_there_and_back(here: Path) -> None:
    assert run("generate", "../bundle", "--count", "3", "--out", "pool", "--dtype", "uint8").exit_code == 0
    for source, kind, target in (("pool", "png", "png"), ("png", "npz", "npz"), ("npz/datalist.json", "pool", "again")):
        result = run("convert", source, "--to", kind, "--out", target, "--json")
        assert result.exit_code == 0, result.output
        assert json.loads(result.stdout)["items"] == 3
    assert (here / "again" / "image.npy").read_bytes() == (here / "pool" / "image.npy").read_bytes()
    assert run("convert", "pool", "--to", "npz", "--out", "png").exit_code == 2
    assert run("convert", "pool", "--to", "npz", "--out", "png", "--force").exit_code == 0
    assert names(here) == {"pool", "png", "npz", "again"}
    assert run("info", "again").exit_code == 0


@pytest.mark.parametrize(("kind", "file"), [("torchscript", "net.ts"), ("torch_export", "net.pt2")])
def test_a_network_becomes_a_program(here: Path, kind: str, file: str) -> None:
    result = run("convert", "../bundle", "--to", kind, "--out", file)
    assert (result.exit_code, result.stdout) == (0, f'generator = monai_genaug.load_generator("{file}", trust=True)\n')
    assert names(here) == {file, f"{file}.json"}
    assert run("convert", "../bundle", "--to", kind, "--out", file).exit_code == 2
    assert run("convert", "../bundle", "--to", kind, "--out", file, "--force", "--json").exit_code == 0
    made, expected = (load_generator(where, trust=True).sample([3])["image"] for where in (file, "../bundle"))
    torch.testing.assert_close(made, expected, rtol=0, atol=1e-4)
    refused = run("generate", file, "--count", "1", "--out", "pool")
    assert (refused.exit_code, "if you know its origin" in refused.stderr) == (2, True)
    assert run("generate", file, "--count", "1", "--out", "pool", "--trust").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("generate", GAN), "either --count or --plan"),
        (("generate", GAN, "--count", "1", "--plan", "malignant=1"), "either --count or --plan"),
        (("generate", GAN, "--plan", "malignant"), "needed: class=count"),
        (("generate", GAN, "--plan", "0=1", "--plan", "0=2"), "names '0' twice"),
        (("generate", GAN, "--plan", "malignant=1", "--plan", "0=2"), "names a class twice"),
        (("generate", GAN, "--plan", "bad=1"), "class 'bad' is unknown"),
        (("generate", "../bundle", "--plan", "bad=1"), "needs one number of items"),
        (("generate", GAN, "--count", "0"), "has no items"),
        (("generate", GAN, "--count", "1", "--format", "dicom"), "allowed: pool, nifti, png, npz"),
        (("generate", GAN, "--count", "1", "--truncation", "0"), "truncation is 0.0"),
        (("generate", GAN, "--count", "1", "--dtype", "int8"), "dtype is 'int8'"),
        (("convert", "nowhere", "--to", "png"), "is neither a finished pool"),
        (("convert", GAN, "--to", "zip"), "allowed: pool, nifti, png, npz, torchscript, torch_export"),
        (("convert", GAN, "--to", "torchscript"), "ends in .ts or .pt"),
    ],
)
def test_bad_arguments_are_one_line(here: Path, arguments: tuple[str, ...], message: str) -> None:
    result = run(*arguments, "--out", "out")
    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stdout == ""
    assert not list(here.iterdir())


def test_only_samples_are_replaced_even_with_force(here: Path) -> None:
    (here / "thesis").mkdir()
    (here / "thesis" / "text.tex").write_text("mine")
    result = run("generate", GAN, "--count", "1", "--out", "thesis", "--force")
    assert (result.exit_code, "holds no samples" in result.stderr) == (2, True)
    assert (here / "thesis" / "text.tex").read_text() == "mine"


@pytest.mark.timeout(900)
def test_ctrl_c_ends_with_130_and_the_same_command_goes_on(here: Path) -> None:
    arguments = ["generate", "../bundle", "--count", "5000", "--out", "pool", "--batch-size", "1"]
    process = subprocess.Popen(
        [sys.executable, "-m", "monai_genaug", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background jobs ignore it
    )
    begun = here / "pool.unfinished" / "pool.partial"
    give_up = time.monotonic() + 400
    while not (begun / "pool.json").is_file() and process.poll() is None and time.monotonic() < give_up:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=200)
    assert process.returncode == 130, errors
    assert "Traceback" not in errors
    assert names(here) == {"pool.unfinished"}
    other = run(*arguments, "--seed", "1")
    assert (other.exit_code, "holds another pool: ['seed'] differ" in other.stderr) == (2, True)
    assert run(*arguments[:-2]).exit_code == 0
    assert len(SamplePool(here / "pool")) == 5000
    assert names(here) == {"pool"}
