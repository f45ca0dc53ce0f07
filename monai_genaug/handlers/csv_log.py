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

    The columns are ``epoch``, the entries of ``trainer.state.output``, ``evaluator.state.metrics`` as they are then
    (so attach it after the handler that validates and before the one that writes checkpoints), ``lr`` and
    ``seconds``. A resumed run drops the lines of epochs that it trains again, so each epoch stands there once.

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
        """Starts an epoch; drops lines that a killed run wrote of it or of later ones."""
        self._means, self._started = {}, time.monotonic()
        if current_rank() != 0 or not self.path.is_file():
            return
        with self.path.open(newline="") as file:
            header, *lines = list(csv.reader(file)) or [[]]
        kept = [line for line in lines if len(line) == len(header) and int(line[0]) < engine.state.epoch]
        if len(kept) < len(lines):
            temporary = self.path.with_suffix(".tmp")
            with temporary.open("w", newline="") as file:
                csv.writer(file).writerows([header, *kept] if kept else [])
            temporary.replace(self.path)

    def collect(self, engine: Engine) -> None:
        """Takes in the losses of a batch."""
        for name, value in engine.state.output.items():
            self._means.setdefault(name, Average()).update(torch.tensor(value, dtype=torch.float64))

    def write(self, engine: Engine) -> None:
        """Ends an epoch; all ranks must call it, since means are taken over them."""
        row = {"epoch": float(engine.state.epoch)}
        row |= {name: float(mean.compute()) for name, mean in self._means.items()}
        if self.evaluator is not None:
            row |= {name: float(value) for name, value in self.evaluator.state.metrics.items()}
        if self.optimizer is not None:
            row["lr"] = float(self.optimizer.param_groups[0]["lr"])
        row["seconds"] = time.monotonic() - self._started
        if current_rank() != 0:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        is_new = not self.path.is_file() or self.path.stat().st_size == 0
        with self.path.open("a", newline="") as file:
            writer = csv.writer(file)
            if is_new:
                writer.writerow(row)
            writer.writerow([f"{value:.6g}" for value in row.values()])
