# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""A training that was stopped anywhere ends with the weights of one that wasn't."""

from __future__ import annotations

import csv
import signal
import time
from multiprocessing import get_context
from pathlib import Path

import pytest
import torch
from ignite.engine import Engine, Events

from monai_genaug.weights import read_training_state
from tests.engines.toy_run import build
from tests.ranks import run_ranks


def last(folder: Path) -> dict[str, torch.Tensor]:
    state: dict[str, torch.Tensor] = read_training_state(folder / "last.pt")["network"]
    return state


def assert_equal_runs(first: Path, second: Path) -> None:
    for name, tensor in last(first).items():
        assert torch.equal(tensor, last(second)[name]), name
    one, other = (read_training_state(folder / "last.pt") for folder in (first, second))
    assert one["best"] == other["best"]
    assert one["trainer"] == other["trainer"]
    rows = [[line[:-1] for line in csv.reader((folder / "log.csv").open())] for folder in (first, second)]
    assert rows[0] == rows[1]


@pytest.mark.parametrize("workers", [0, 2])
def test_resumed_run_equals_uninterrupted_one(tmp_path: Path, workers: int) -> None:
    build(tmp_path / "straight", 3, workers).trainer.run()
    run = build(tmp_path / "stopped", 3, workers)

    @run.trainer.on(Events.ITERATION_COMPLETED(once=8))
    def power_cut(engine: Engine) -> None:
        assert engine.state.epoch == 3
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run.trainer.run()
    assert read_training_state(tmp_path / "stopped" / "last.pt")["trainer"]["epoch"] == 2
    torch.manual_seed(1234)  # the global state plays no part
    build(tmp_path / "stopped", 3, workers).trainer.run()
    assert_equal_runs(tmp_path / "straight", tmp_path / "stopped")


def train_in_one_thread(folder: Path, epochs: int) -> None:
    torch.set_num_threads(1)
    build(folder, epochs).trainer.run()


def test_killed_process_equals_uninterrupted_one(tmp_path: Path) -> None:
    killed = get_context("fork").Process(target=train_in_one_thread, args=(tmp_path / "killed", 400))
    killed.start()
    deadline = time.monotonic() + 120
    while not (tmp_path / "killed" / "last.pt").is_file() and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(0.3)
    killed.kill()
    killed.join()
    assert killed.exitcode == -signal.SIGKILL
    reached = read_training_state(tmp_path / "killed" / "last.pt")["trainer"]["epoch"]
    assert 1 <= reached < 400
    for name in ("killed", "straight"):
        build(tmp_path / name, reached + 2).trainer.run()
    assert_equal_runs(tmp_path / "straight", tmp_path / "killed")


def test_a_run_that_is_done_stays_done(tmp_path: Path) -> None:
    build(tmp_path, 2).trainer.run()
    before = last(tmp_path)
    again = build(tmp_path, 2)
    again.trainer.run()
    assert again.trainer.state.iteration == 6
    assert all(torch.equal(tensor, before[name]) for name, tensor in again.network.state_dict().items())


def test_without_resume_an_old_checkpoint_is_refused(tmp_path: Path) -> None:
    build(tmp_path, 1).trainer.run()
    run = build(tmp_path, 1)
    run.checkpoint.resume = False
    with pytest.raises(FileExistsError, match="resume"):
        run.trainer.run()


def train_as_rank(rank: int, folder: Path) -> None:
    run = build(folder, 2)
    run.trainer.run()
    torch.save(run.network.state_dict(), folder / f"rank{rank}.pt")


def test_two_ranks_agree_and_rank_0_writes(tmp_path: Path) -> None:
    run_ranks(train_as_rank, tmp_path)
    first, second = (torch.load(tmp_path / f"rank{rank}.pt", weights_only=True) for rank in (0, 1))
    assert all(torch.equal(tensor, second[name]) for name, tensor in first.items())
    assert all(torch.equal(tensor, first[name]) for name, tensor in last(tmp_path).items())
    with (tmp_path / "log.csv").open() as file:
        assert [row["epoch"] for row in csv.DictReader(file)] == ["1", "2"]
