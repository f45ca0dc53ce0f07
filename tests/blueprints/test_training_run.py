# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
import random
from pathlib import Path

import numpy as np
import pytest
import torch
from monai.utils import get_seed

from monai_genaug.blueprints import training_run
from monai_genaug.blueprints.training_run import change_learning_rate, checkpoints_of, run_training
from monai_genaug.weights import read_training_state, save_training_state


def optimizer_and_schedule(lr: float) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LambdaLR]:
    optimizer = torch.optim.Adam([torch.nn.Parameter(torch.ones(2))], lr)
    return optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1.0 / (1.0 + step))


def test_another_learning_rate_is_that_of_a_run_that_had_it_from_the_start(tmp_path: Path) -> None:
    checkpoint = tmp_path / "last.pt"
    plain = torch.optim.SGD([torch.nn.Parameter(torch.ones(2))], 0.1)
    twice = torch.optim.SGD([torch.nn.Parameter(torch.ones(2))], 0.2)
    optimizer, schedule = optimizer_and_schedule(0.1)
    other, other_schedule = optimizer_and_schedule(0.02)
    for _ in range(3):
        for one, its_schedule in ((optimizer, schedule), (other, other_schedule)):
            one.step()
            its_schedule.step()
    parts = {"optimizer": optimizer, "lr_scheduler": schedule, "d_optimizer": plain, "twice": twice}
    save_training_state({"parts": {name: part.state_dict() for name, part in parts.items()}}, checkpoint)
    for _ in range(2):  # as after a stop in between
        change_learning_rate(checkpoint, 0.02)
    for name, part in read_training_state(checkpoint)["parts"].items():
        parts[name].load_state_dict(part)
    schedule.step()
    other_schedule.step()
    assert optimizer.param_groups[0]["lr"] == pytest.approx(other.param_groups[0]["lr"])
    assert plain.param_groups[0]["lr"] == pytest.approx(0.02)
    assert twice.param_groups[0]["lr"] == pytest.approx(0.04)


def test_the_reason_is_unwrapped_and_global_states_are_put_back(tmp_path: Path) -> None:
    (tmp_path / "configs").mkdir()
    config = '{"imports": ["$import monai, torch"], "initialize": ["$monai.utils.set_determinism(3)"], '
    config += '"run": ["$torch.rand(3)", "$int(\'seven\')"]}'
    (tmp_path / "configs" / "train.json").write_text(config)
    (tmp_path / "configs" / "metadata.json").write_text("{}")
    before = (random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist())
    seed, flags = get_seed(), (torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark)
    with pytest.raises(ValueError, match="'seven'"):
        run_training(tmp_path, tmp_path, tmp_path / "out")
    assert before == (random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist())
    assert (seed, flags) == (get_seed(), (torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark))


def test_the_stage_that_is_trained_comes_first(tmp_path: Path) -> None:
    assert checkpoints_of(tmp_path) == []
    assert training_run._advice(tmp_path).startswith("No epoch was complete. Train again")
    first, second = (tmp_path / "checkpoints" / name for name in ("autoencoder/last.pt", "last.pt"))
    for age, (path, epoch) in enumerate([(first, 7), (second, 2)]):
        path.parent.mkdir(parents=True, exist_ok=True)
        save_training_state({"trainer": {"epoch": epoch}}, path)
        os.utime(path, (1000 + age, 1000 + age))
    assert checkpoints_of(tmp_path) == [second, first]
    assert f"checkpoint is {second}, after epoch 2. Train again" in training_run._advice(tmp_path)
