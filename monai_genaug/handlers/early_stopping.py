# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Early stopping that a resumed run continues."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ignite.engine import Engine, Events
from monai.handlers import EarlyStopHandler

__all__ = ["StopWithoutImprovement"]


class StopWithoutImprovement(EarlyStopHandler):
    """MONAI's ``EarlyStopHandler`` on a validation metric, with a state for checkpoints.

    Attached to the trainer, it looks at the metric after each validation; the number of ranks makes no difference,
    since Ignite's metrics are reduced over them.

    Args:
        evaluator: the engine that validates.
        patience: validations without improvement after which training stops.
        metric: name in ``evaluator.state.metrics``; higher is better.
        min_delta: smallest increase that counts.

    Raises:
        ValueError: ``patience`` below 1 or a negative ``min_delta``.
    """

    def __init__(self, evaluator: Engine, patience: int, metric: str = "val_elbo", min_delta: float = 0.0) -> None:
        if patience < 1 or min_delta < 0.0:
            raise ValueError(f"patience={patience}, min_delta={min_delta}: allowed are 1 and more, 0 and more.")
        super().__init__(patience, score_function=lambda engine: engine.state.metrics[metric], min_delta=min_delta)
        self.evaluator = evaluator

    def attach(self, engine: Engine) -> None:
        """Attaches to the trainer that is to be stopped."""
        self.set_trainer(engine)
        self.evaluator.add_event_handler(Events.COMPLETED, self)

    def state_dict(self) -> dict[str, Any]:
        """Validations since the last improvement, and the best metric."""
        return {"counter": self._handler.counter, "best_score": self._handler.best_score}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continues where the state was taken; training stops at once if patience had run out."""
        self._handler.counter, self._handler.best_score = state["counter"], state["best_score"]
        if self._handler.counter >= self._handler.patience:
            self._handler.trainer.terminate()
