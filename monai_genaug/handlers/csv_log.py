# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""One line per epoch in a CSV file."""

from __future__ import annotations

import csv
import os
import time
from pathlib import Path

import torch
from ignite.engine import Engine, Events
from ignite.metrics import Average
from torch.optim import Optimizer

from monai_genaug.generators import current_rank

__all__ = ["EpochCsvLog"]


class EpochCsvLog:
    """Writes an epoch's mean losses (over batches and ranks), validation metrics, learning rate and duration.

    The columns are ``epoch``, the entries of ``trainer.state.output``, ``evaluator.state.metrics`` (blank where the
    epoch was not validated; attach it after the handler that validates and before the one that writes checkpoints),
    ``lr`` and ``seconds``. A resumed run drops the lines of epochs that it trains again: each epoch stands there once.

    Args:
        path: the file; its folder is created if needed.
        optimizer: whose learning rate is logged.
        evaluator: whose metrics are logged, if any.
    """

    def __init__(
        self, path: str | os.PathLike[str], optimizer: Optimizer | None = None, evaluator: Engine | None = None
    ) -> None:
        self.path, self.optimizer, self.evaluator = Path(path), optimizer, evaluator
        self._means: dict[str, Average] = {}
        self._started = 0.0

    def attach(self, engine: Engine) -> None:
        """Attaches to a trainer."""
        engine.add_event_handler(Events.EPOCH_STARTED, self.begin)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self.collect)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self.write)

    def begin(self, engine: Engine) -> None:
        """Starts an epoch."""
        self._means, self._started = {}, time.monotonic()

    def collect(self, engine: Engine) -> None:
        """Takes in the losses of a batch."""
        for name, value in engine.state.output.items():
            self._means.setdefault(name, Average()).update(torch.tensor(value, dtype=torch.float64))

    def write(self, engine: Engine) -> None:
        """Ends an epoch; all ranks must call it, since means are taken over them."""
        row = {"epoch": float(engine.state.epoch)}
        row |= {name: float(mean.compute()) for name, mean in self._means.items()}
        if self.evaluator is not None and self.evaluator.state.epoch == engine.state.epoch:
            row |= {name: float(value) for name, value in self.evaluator.state.metrics.items()}
        if self.optimizer is not None:
            row["lr"] = float(self.optimizer.param_groups[0]["lr"])
        row["seconds"] = time.monotonic() - self._started
        if current_rank() != 0:
            return
        rows = [*self._before(engine.state.epoch), {name: f"{value:.6g}" for name, value in row.items()}]
        self.path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self.path.with_suffix(".tmp")
        with temporary.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(dict.fromkeys(name for line in rows for name in line)))
            writer.writeheader()
            writer.writerows(rows)
        temporary.replace(self.path)

    def _before(self, epoch: int) -> list[dict[str, str]]:
        """The lines of earlier epochs of this run; none at the first epoch, so a new run replaces an old log."""
        if not self.path.is_file():
            return []
        with self.path.open(newline="") as file:
            whole = [line for line in csv.DictReader(file) if None not in line.values()]
        lines = [{name: value for name, value in line.items() if value} for line in whole]
        return [line for line in lines if line.get("epoch", "").isdigit() and int(line["epoch"]) < epoch]
