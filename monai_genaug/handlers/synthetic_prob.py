# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""More, or less, synthetic data as training goes on."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from ignite.engine import Engine, Events

from monai_genaug.transforms import GenerativePrepareBatch, RandGenerativeSample, RandGenerativeSampled

__all__ = ["SyntheticProbScheduler"]

_Schedule = Callable[[int], float] | Sequence[tuple[float, float]]
_Scheduled = RandGenerativeSample | RandGenerativeSampled | GenerativePrepareBatch


class SyntheticProbScheduler:
    """Sets the probability of a random transform at the start of every epoch.

    The probability lives in shared memory, so loader workers that live on see it (``persistent_workers=True``), and so
    do copies of the transform in threads.

    Args:
        transform: the transform, or the :class:`GenerativePrepareBatch`. If its ``prob`` is per class, the scheduled
            number is the factor on all of them.
        schedule: epoch (from 1) -> probability in [0, 1]; or points ``(epoch, probability)`` with rising epochs, which
            are joined by lines and constant before the first and after the last.

    Raises:
        TypeError: something that has no probability to schedule.
        ValueError: no points, epochs that don't rise, or a probability outside [0, 1].

    Example::

        SyntheticProbScheduler(transform, [(1, 0.5), (20, 0.0)]).attach(trainer)
    """

    def __init__(self, transform: _Scheduled, schedule: _Schedule) -> None:
        if not isinstance(transform, (RandGenerativeSample, RandGenerativeSampled, GenerativePrepareBatch)):
            raise TypeError(
                f"transform is a {type(transform).__name__}, allowed: RandGenerativeSample(d), GenerativePrepareBatch."
            )
        self.transform = transform
        self.schedule = schedule if callable(schedule) else _lines(schedule)

    def attach(self, engine: Engine) -> None:
        """Registers the handler for the start of every epoch."""
        engine.add_event_handler(Events.EPOCH_STARTED, self)

    def __call__(self, engine: Engine) -> None:
        """Sets the probability of the epoch that starts.

        Raises:
            ValueError: the schedule gives something outside [0, 1].
        """
        self.transform.prob = self.schedule(engine.state.epoch)


def _lines(points: Sequence[tuple[float, float]]) -> Callable[[int], float]:
    table = np.array(points, dtype=np.float64)
    if table.ndim != 2 or table.shape[1] != 2 or len(table) == 0:
        raise ValueError(f"schedule is {points!r}, allowed: a function, or pairs (epoch, probability).")
    epochs, values = table.T
    if (np.diff(epochs) <= 0).any():
        raise ValueError(f"schedule has the epochs {epochs.tolist()}, which must rise.")
    if not ((values >= 0) & (values <= 1)).all():
        raise ValueError(f"schedule has the probabilities {values.tolist()}, allowed: 0 to 1.")
    return lambda epoch: float(np.interp(epoch, epochs, values))
