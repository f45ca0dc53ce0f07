# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""An adversarial training that was stopped anywhere ends with the weights of one that wasn't."""

from __future__ import annotations

import signal
import time
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest
import torch
from ignite.engine import Engine, Events
from torch import Tensor

from monai_genaug.weights import read_training_state
from tests.engines.toy_gan_run import build
from tests.ranks import run_ranks


def tensors(state: Any, name: str = "") -> dict[str, Tensor]:
    """All tensors and numbers of a training state, by their path in it."""
    if isinstance(state, Tensor):
        return {name: state}
    if isinstance(state, (int, float)):
        return {name: torch.tensor(state)}
    children = state.items() if isinstance(state, dict) else enumerate(state) if isinstance(state, list) else ()
    return {path: tensor for key, value in children for path, tensor in tensors(value, f"{name}/{key}").items()}


def assert_equal_runs(first: Path, second: Path) -> None:
    one, other = (tensors(read_training_state(folder / "last.pt")) for folder in (first, second))
    assert one.keys() == other.keys()
    for name, tensor in one.items():
        assert torch.equal(tensor, other[name]), name
    logs = [(folder / "log.csv").read_text().splitlines() for folder in (first, second)]
    assert [line.rpartition(",")[0] for line in logs[0]] == [line.rpartition(",")[0] for line in logs[1]]


def test_a_checkpoint_holds_all_that_learns(tmp_path: Path) -> None:
    run = build(tmp_path, 2)
    run.trainer.run()
    state = read_training_state(tmp_path / "last.pt")
    assert set(state["parts"]) == {"optimizer", "discriminator", "d_optimizer", "averaged"}
    assert int(state["parts"]["averaged"]["n_averaged"]) == 3  # six iterations, every second one
    assert any(name.endswith("_u") or name.endswith("_v") for name in state["parts"]["discriminator"])  # spectral norm


@pytest.mark.parametrize("n_critic", [1, 2])
def test_resumed_run_equals_uninterrupted_one(tmp_path: Path, n_critic: int) -> None:
    build(tmp_path / "straight", 4, n_critic=n_critic).trainer.run()
    run = build(tmp_path / "stopped", 4, n_critic=n_critic)

    @run.trainer.on(Events.ITERATION_COMPLETED(once=5))
    def power_cut(engine: Engine) -> None:
        assert engine.state.epoch == 2
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run.trainer.run()
    assert read_training_state(tmp_path / "stopped" / "last.pt")["trainer"] == {"epoch": 1, "iteration": 3}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1234)  # the global state plays no part
        build(tmp_path / "stopped", 4, n_critic=n_critic).trainer.run()
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
    time.sleep(0.2)
    killed.kill()
    killed.join()
    assert killed.exitcode == -signal.SIGKILL
    reached = read_training_state(tmp_path / "killed" / "last.pt")["trainer"]["epoch"]
    assert 1 <= reached < 400
    for name in ("killed", "straight"):
        build(tmp_path / name, reached + 2).trainer.run()
    assert_equal_runs(tmp_path / "straight", tmp_path / "killed")


def train_as_rank(rank: int, folder: Path, stages: tuple[int, ...]) -> None:
    for epochs in stages:
        build(folder, epochs).trainer.run()


def test_two_ranks_resume_too(tmp_path: Path) -> None:
    run_ranks(train_as_rank, tmp_path / "straight", (2,))
    run_ranks(train_as_rank, tmp_path / "stopped", (1, 2))
    assert_equal_runs(tmp_path / "straight", tmp_path / "stopped")
