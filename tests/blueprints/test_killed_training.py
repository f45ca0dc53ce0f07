# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""A training that is killed, or that leaves the finite numbers, goes on; through the command."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from click.testing import Result
from typer.testing import CliRunner

from monai_genaug.blueprints import train_on_folder
from monai_genaug.cli import app
from monai_genaug.engines import NonFiniteLossError
from monai_genaug.weights import read_training_state, read_weights
from tests.class_pictures import write_class_pictures

EPOCHS = 4
pytestmark = pytest.mark.timeout(900)  # six trainings, on a machine that may be busy


def arguments(data: Path, out: Path, *more: str) -> list[str]:
    return ["train", str(data), "--out", str(out), "--name", "toy", "--size", "8", "--epochs", str(EPOCHS), *more]


def run(data: Path, out: Path, *more: str) -> Result:
    return CliRunner().invoke(app, arguments(data, out, *more))


def epoch(checkpoint: Path) -> int:
    return int(read_training_state(checkpoint)["trainer"]["epoch"])


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_class_pictures(tmp_path_factory.mktemp("data") / "pictures")


@pytest.fixture(scope="module")
def killed(data: Path) -> Path:
    """The folder of a training that was killed in the middle of its second epoch or later."""
    out = data.parent / "killed"
    line = [sys.executable, "-W", "ignore", "-m", "monai_genaug", *arguments(data, out)]
    process = subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while not (out / "checkpoints" / "last.pt").is_file():
            assert process.poll() is None, "the training ended before it could be killed"
            time.sleep(0.005)
        time.sleep(0.05)
    finally:  # also where the test itself is stopped
        process.kill()
    assert process.wait() == -signal.SIGKILL
    assert not (out / "bundle").exists()
    return out


def test_a_loss_that_is_not_finite_keeps_the_last_good_checkpoint(data: Path, killed: Path, tmp_path: Path) -> None:
    out = shutil.copytree(killed, tmp_path / "out")
    checkpoint = out / "checkpoints" / "last.pt"
    good, weights = epoch(checkpoint), read_training_state(checkpoint)["network"]
    stopped = run(data, out, "--lr", "1e30")
    assert stopped.exit_code == 1, stopped.output
    (line,) = [line for line in stopped.stderr.splitlines() if line.startswith("Error: ")]
    assert f"not finite in epoch {good + 1}" in line
    assert f"The last good checkpoint is {checkpoint}, after epoch {good}." in line
    assert all(torch.equal(weights[name], kept) for name, kept in read_training_state(checkpoint)["network"].items())
    with pytest.raises(NonFiniteLossError, match="smaller learning rate"):
        train_on_folder(data, out, name="toy", size=8, epochs=EPOCHS)  # goes on with the same one
    resumed = run(data, out, "--lr", "1e-4")
    assert resumed.exit_code == 0, resumed.output
    assert (out / "bundle" / "models" / "model.pt").is_file()
    assert len((out / "log.csv").read_text().splitlines()) == 1 + EPOCHS


def test_other_arguments_are_refused(data: Path, killed: Path) -> None:
    before = (killed / "checkpoints" / "last.pt").read_bytes()
    refused = run(data, killed, "--seed", "1", "--data-licence", "CC0-1.0")
    assert refused.exit_code == 2
    assert "holds a run that differs in seed, spec, images or split" in refused.stderr
    assert (killed / "checkpoints" / "last.pt").read_bytes() == before


def test_a_killed_training_goes_on_to_the_same_weights(data: Path, killed: Path, tmp_path: Path) -> None:
    resumed, straight = run(data, killed), run(data, tmp_path / "straight")
    assert (resumed.exit_code, straight.exit_code) == (0, 0), resumed.output + straight.output
    assert str(killed / "bundle") in resumed.stdout
    ours, theirs = (read_weights(out / "bundle" / "models" / "model.pt") for out in (killed, tmp_path / "straight"))
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    again = run(data, killed)
    assert again.exit_code == 2
    assert "this training is complete" in again.stderr
