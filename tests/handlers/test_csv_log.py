# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from tests.engines.toy_run import build


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_one_line_per_epoch_with_losses_metrics_rate_and_time(tmp_path: Path) -> None:
    run = build(tmp_path, 2)
    run.trainer.run()
    lines = rows(tmp_path / "log.csv")
    assert [line["epoch"] for line in lines] == ["1", "2"]
    assert {"loss", "image", "mask", "kl", "val_elbo", "val_kl", "lr", "seconds"} <= set(lines[0])
    assert float(lines[1]["val_elbo"]) == pytest.approx(run.evaluator.state.metrics["val_elbo"], rel=1e-5)


def test_a_resumed_run_drops_later_and_torn_lines(tmp_path: Path) -> None:
    build(tmp_path, 2).trainer.run()
    first = rows(tmp_path / "log.csv")
    with (tmp_path / "log.csv").open("a") as file:
        file.write(",".join(["3", *["9"] * (len(first[0]) - 1)]) + "\n2,1.0")
    build(tmp_path, 3).trainer.run()
    lines = rows(tmp_path / "log.csv")
    assert [line["epoch"] for line in lines] == ["1", "2", "3"]
    assert lines[:2] == first
    assert lines[2]["loss"] != "9"


def test_a_new_run_replaces_an_old_log(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("epoch,old\n1,2\n")
    build(tmp_path, 1).trainer.run()
    assert "old" not in rows(tmp_path / "log.csv")[0]


def test_epochs_without_validation_have_blanks(tmp_path: Path) -> None:
    run = build(tmp_path, 3)
    validated = run.evaluator.run

    def every_second(global_epoch: int = 1) -> None:
        if global_epoch % 2 == 0:
            validated(global_epoch)

    run.evaluator.run = every_second
    run.trainer.run()
    lines = rows(tmp_path / "log.csv")
    assert [line["epoch"] for line in lines] == ["1", "2", "3"]
    assert [bool(line["val_elbo"]) for line in lines] == [False, True, False]
