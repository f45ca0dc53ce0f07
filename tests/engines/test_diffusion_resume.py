# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""A diffusion training that was stopped anywhere ends with the weights of one that wasn't."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from ignite.engine import Engine, Events

from monai_genaug.weights import read_training_state
from tests.engines.test_gan_resume import assert_equal_runs
from tests.engines.toy_diffusion_run import build
from tests.ranks import run_ranks


def test_a_checkpoint_holds_all_that_learns(tmp_path: Path) -> None:
    build(tmp_path, 2).run()
    state = read_training_state(tmp_path / "last.pt")
    assert set(state["parts"]) == {"optimizer", "averaged"}
    assert int(state["parts"]["averaged"]["n_averaged"]) == 6


def test_resumed_run_equals_uninterrupted_one(tmp_path: Path) -> None:
    build(tmp_path / "straight", 4).run()
    stopped = build(tmp_path / "stopped", 4)

    @stopped.on(Events.ITERATION_COMPLETED(once=5))
    def power_cut(engine: Engine) -> None:
        assert engine.state.epoch == 2
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped.run()
    assert read_training_state(tmp_path / "stopped" / "last.pt")["trainer"] == {"epoch": 1, "iteration": 3}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1234)  # the global state plays no part
        build(tmp_path / "stopped", 4).run()
    assert_equal_runs(tmp_path / "straight", tmp_path / "stopped")


def train_as_rank(rank: int, folder: Path, stages: tuple[int, ...]) -> None:
    for epochs in stages:
        build(folder, epochs).run()


def test_two_ranks_resume_too(tmp_path: Path) -> None:
    run_ranks(train_as_rank, tmp_path / "straight", (2,))
    run_ranks(train_as_rank, tmp_path / "stopped", (1, 2))
    assert_equal_runs(tmp_path / "straight", tmp_path / "stopped")
