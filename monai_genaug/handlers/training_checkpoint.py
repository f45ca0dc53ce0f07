# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Checkpoints from which a training goes on as if it had never stopped."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ignite.engine import Engine, Events
from monai.engines import Evaluator
from torch import nn
from torch.optim import Optimizer

from monai_genaug.generators import current_rank
from monai_genaug.weights import (
    WeightsMismatchError,
    load_strict,
    read_training_state,
    save_training_state,
    save_weights,
)

__all__ = ["TrainingCheckpoint"]

_logger = logging.getLogger(__name__)


class TrainingCheckpoint:
    """Writes ``last.pt`` after each epoch and ``best.pt`` (weights alone) after the best one; resumes from ``last.pt``.

    Files are replaced atomically: whatever kills the process, the previous one stays readable. ``last.pt`` says which
    epoch was best, hence ``best.pt`` is written first; of a trainer that averages weights it holds its attribute
    ``averaged``. Must be attached after the handler that validates.

    MONAI's ``CheckpointSaver`` and ``CheckpointLoader`` keep neither best metric nor early stopping, and read with
    pickle what they restore.

    Args:
        folder: where the files are; created if needed.
        network: the network; of a GAN the generator.
        optimizer: its optimizer.
        evaluator: its key metric decides what is best; None to write no ``best.pt``.
        others: further things with ``state_dict`` and ``load_state_dict``: schedulers, early stopping. What the
            trainer names in an attribute ``parts`` (a GAN's discriminator, say) is added by itself.
        resume: whether to go on from ``last.pt`` if there is one.

    Raises:
        FileExistsError: when training starts, with ``resume=False`` and a ``last.pt`` of another run in the folder.
        WeightsError: when training starts, a checkpoint that cannot be used, see :mod:`monai_genaug.weights`.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        network: nn.Module,
        optimizer: Optimizer,
        evaluator: Evaluator | None = None,
        others: Mapping[str, Any] | None = None,
        resume: bool = True,
    ) -> None:
        self.folder = Path(folder)
        self.network, self.evaluator, self.resume = network, evaluator, resume
        self.parts: dict[str, Any] = {"optimizer": optimizer, **(others or {})}

    @property
    def last_path(self) -> Path:
        """The checkpoint after the last complete epoch."""
        return self.folder / "last.pt"

    @property
    def best_path(self) -> Path:
        """The weights after the epoch with the best key metric."""
        return self.folder / "best.pt"

    def attach(self, engine: Engine) -> None:
        """Attaches to a trainer."""
        engine.add_event_handler(Events.STARTED, self.load)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self.save)

    def save(self, engine: Engine) -> None:
        """Writes the state after an epoch (rank 0 alone)."""
        if current_rank() != 0:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        progress = {"epoch": engine.state.epoch, "iteration": engine.state.iteration}
        state: dict[str, Any] = {"trainer": progress, "network": self.network.state_dict()}
        state["parts"] = {name: part.state_dict() for name, part in self._parts_of(engine).items()}
        if self.evaluator is not None:
            found = self.evaluator.state
            state["best"] = {"metric": float(found.best_metric), "epoch": int(found.best_metric_epoch)}
            if found.best_metric_epoch == engine.state.epoch:
                judged = getattr(engine, "averaged", self.network)
                save_weights(judged.state_dict(), self.best_path)
        save_training_state(state, self.last_path)

    def load(self, engine: Engine) -> None:
        """Goes on from ``last.pt``; does nothing where there is none."""
        if not self.last_path.is_file():
            return
        if not self.resume:
            raise FileExistsError(f"{self.last_path} exists: resume it, or train into another folder.")
        state, parts = read_training_state(self.last_path), self._parts_of(engine)
        if not parts.keys() <= state["parts"].keys():
            missing = sorted(parts.keys() - state["parts"].keys())
            raise WeightsMismatchError(f"{self.last_path} holds no {missing}, but only {sorted(state['parts'])}.")
        load_strict(self.network, state["network"], str(self.last_path))
        engine.state.epoch, engine.state.iteration = state["trainer"]["epoch"], state["trainer"]["iteration"]
        if self.evaluator is not None:
            best = state["best"]
            self.evaluator.state.best_metric, self.evaluator.state.best_metric_epoch = best["metric"], best["epoch"]
        for name, part in parts.items():
            if isinstance(part, nn.Module):
                load_strict(part, state["parts"][name], f"{self.last_path}, {name}")
            else:
                part.load_state_dict(state["parts"][name])
        _logger.info("resumed %s after epoch %d", self.last_path, engine.state.epoch)

    def _parts_of(self, engine: Engine) -> dict[str, Any]:
        return {**getattr(engine, "parts", {}), **self.parts}
