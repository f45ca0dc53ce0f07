# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from ignite.engine import Engine

from monai_genaug import weights
from monai_genaug.weights import UnsafeWeightsError, WeightsError, read_training_state, read_weights
from tests.engines.toy_gan_run import build as build_gan
from tests.engines.toy_run import build


def test_best_is_what_scored_best(tmp_path: Path) -> None:
    run = build(tmp_path, 4)
    run.trainer.run()
    epoch = run.evaluator.state.best_metric_epoch
    best = read_training_state(tmp_path / "last.pt")["best"]
    assert best == {"metric": run.evaluator.state.best_metric, "epoch": epoch}
    run.network.load_state_dict(read_weights(tmp_path / "best.pt"))
    run.evaluator.run(10)
    assert run.evaluator.state.metrics["val_elbo"] == pytest.approx(best["metric"], rel=1e-6)


def test_a_crash_while_writing_keeps_the_previous_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = build(tmp_path, 1)
    run.trainer.run()
    before = (tmp_path / "last.pt").read_bytes()

    def crash(descriptor: int) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(weights.os, "fsync", crash)
    with pytest.raises(OSError, match="disk full"):
        run.checkpoint.save(run.trainer)
    assert (tmp_path / "last.pt").read_bytes() == before
    assert {path.name for path in tmp_path.iterdir()} == {"last.pt", "best.pt", "log.csv"}


@pytest.mark.parametrize("content", [b"", b"no checkpoint"])
def test_a_damaged_checkpoint_is_named(tmp_path: Path, content: bytes) -> None:
    run = build(tmp_path, 1)
    (tmp_path / "last.pt").write_bytes(content)
    with pytest.raises(WeightsError, match=r"last\.pt"):
        run.trainer.run()


def test_a_checkpoint_that_runs_code_is_refused(tmp_path: Path) -> None:
    run = build(tmp_path, 1)
    torch.save({"trainer": Path("x")}, tmp_path / "last.pt")
    with pytest.raises(UnsafeWeightsError, match="more than tensors"):
        run.trainer.run()


def test_a_checkpoint_of_another_network_is_refused(tmp_path: Path) -> None:
    run = build(tmp_path, 1)
    run.trainer.run()
    other = build(tmp_path, 2)
    other.checkpoint.network = torch.nn.Linear(2, 2)
    with pytest.raises(WeightsError, match="does not fit Linear"):
        other.trainer.run()


def test_of_a_gan_best_is_the_average(tmp_path: Path) -> None:
    run = build_gan(tmp_path, 2)
    run.checkpoint.evaluator = Engine(lambda engine, batch: None)
    run.checkpoint.evaluator.state.best_metric, run.checkpoint.evaluator.state.best_metric_epoch = 0.5, 2
    run.trainer.run()
    best = read_weights(tmp_path / "best.pt")
    assert best.keys() == run.generator.state_dict().keys()
    assert all(torch.equal(tensor, best[name]) for name, tensor in run.trainer.averaged.state_dict().items())
    assert any(not torch.equal(tensor, best[name]) for name, tensor in run.generator.state_dict().items())


def test_named_parts_are_kept_beside_the_trainer_s_own(tmp_path: Path) -> None:
    run = build_gan(tmp_path, 1)
    run.checkpoint.parts["critic"] = run.discriminator
    run.trainer.run()
    parts = read_training_state(tmp_path / "last.pt")["parts"]
    assert parts["critic"].keys() == parts["discriminator"].keys() == run.discriminator.state_dict().keys()


def test_a_checkpoint_without_a_part_is_refused(tmp_path: Path) -> None:
    build_gan(tmp_path, 1, ema_decay=None).trainer.run()
    run = build_gan(tmp_path, 2)
    before = {name: tensor.clone() for name, tensor in run.generator.state_dict().items()}
    with pytest.raises(WeightsError, match=r"holds no \['averaged'\]"):
        run.trainer.run()
    assert all(torch.equal(tensor, before[name]) for name, tensor in run.generator.state_dict().items())


def test_a_checkpoint_of_another_discriminator_is_refused(tmp_path: Path) -> None:
    build_gan(tmp_path, 1).trainer.run()
    run = build_gan(tmp_path, 2)
    run.trainer.discriminator = torch.nn.Linear(2, 2)
    with pytest.raises(WeightsError, match=r"last\.pt, discriminator does not fit Linear"):
        run.trainer.run()
