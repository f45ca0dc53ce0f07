# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from pathlib import Path

import pytest
from ignite.engine import Engine

from monai_genaug.handlers import StopWithoutImprovement
from monai_genaug.weights import read_training_state
from tests.engines.toy_run import Run, build


def without_improvement(folder: Path) -> Run:
    """Nothing is learnt at a learning rate of 0, so nothing improves after the first epoch."""
    run = build(folder, 10, patience=2)
    for group in run.trainer.optimizer.param_groups:
        group["initial_lr"] = group["lr"] = 0.0
    run.trainer.optimizer.param_groups[0]["weight_decay"] = 0.0
    scheduler = run.checkpoint.parts["scheduler"]
    scheduler.base_lrs = [0.0]
    return run


def test_stops_and_a_resumed_run_stays_stopped(tmp_path: Path) -> None:
    run = without_improvement(tmp_path)
    run.trainer.run()
    assert run.trainer.state.epoch == 3
    assert run.evaluator.state.best_metric_epoch == 1
    again = without_improvement(tmp_path)
    again.trainer.run()
    assert again.trainer.state.epoch == 3
    assert again.trainer.state.iteration == run.trainer.state.iteration


def test_the_last_checkpoint_knows_the_best_epoch(tmp_path: Path) -> None:
    without_improvement(tmp_path).trainer.run()
    state = read_training_state(tmp_path / "last.pt")
    assert state["best"]["epoch"] == 1
    assert state["parts"]["early_stopping"]["counter"] == 2


@pytest.mark.parametrize("arguments", [{"patience": 0}, {"patience": 1, "min_delta": -1.0}])
def test_bad_arguments(arguments: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="patience"):
        StopWithoutImprovement(Engine(lambda engine, batch: None), **arguments)  # type: ignore[arg-type]
