# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""The training of an autoencoder that was stopped anywhere ends with the weights of one that wasn't."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from ignite.engine import Engine, Events

from monai_genaug.weights import read_training_state
from tests.engines.test_gan_resume import assert_equal_runs
from tests.engines.toy_autoencoder_run import build
from tests.ranks import run_ranks


def test_resumed_run_equals_uninterrupted_one(tmp_path: Path) -> None:
    straight = build(tmp_path / "straight", 4)
    torch.manual_seed(0)
    before = torch.get_rng_state()
    straight.run()
    stopped = build(tmp_path / "stopped", 4)

    @stopped.on(Events.ITERATION_COMPLETED(once=5))
    def power_cut(engine: Engine) -> None:
        assert engine.state.epoch == 2
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped.run()
    state = read_training_state(tmp_path / "stopped" / "last.pt")
    assert state["trainer"] == {"epoch": 1, "iteration": 3}
    assert set(state["parts"]) == {"optimizer", "discriminator", "d_optimizer"}
    assert state["network"]["scale_factor"] != 1.0
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1234)  # the global state plays no part
        build(tmp_path / "stopped", 4).run()
    assert_equal_runs(tmp_path / "straight", tmp_path / "stopped")
    assert torch.equal(torch.get_rng_state(), before)


def train_as_rank(rank: int, folder: Path, stages: tuple[int, ...]) -> None:
    for epochs in stages:
        build(folder, epochs).run()


def test_two_ranks_resume_too(tmp_path: Path) -> None:
    run_ranks(train_as_rank, tmp_path / "straight", (2,))
    run_ranks(train_as_rank, tmp_path / "stopped", (1, 2))
    assert_equal_runs(tmp_path / "straight", tmp_path / "stopped")
