# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Which epoch's weights are exported: the choice by measured samples."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ignite.engine import Engine, Events
from torch import nn

from monai_genaug.generators import current_rank
from monai_genaug.weights import MissingWeightsError, load_strict, read_weights, save_weights

__all__ = ["Snapshot", "SnapshotChooser"]

_logger = logging.getLogger(__name__)
_MODES = ("min", "max")


@dataclass(frozen=True)
class Snapshot:
    """Weights in a file.

    Args:
        epoch: after which they were taken.
        values: metric -> value.
        sha256: of the file.
    """

    epoch: int
    values: Mapping[str, float]
    sha256: str


class SnapshotChooser:
    """Keeps the weights of promising epochs on disk and, at the end, loads the best ones into the network.

    Of the measured epochs, the ``shortlist`` best ones by the first criterion are compared by the others, then by the
    first one again; of equal ones the later epoch is taken. The default is the choice of snapshots that is usual for
    StyleGAN2: among the four lowest Frechet distances the highest precision. With a shortlist of 1 the first criterion
    decides, and the others only between equal values.

    Values are read from ``engine.state.metrics`` after each epoch, where
    :class:`~monai_genaug.handlers.fidelity.FidelityHandler` writes them; epochs without them are no candidates. What
    can never be chosen any more is deleted, at the start of the next epoch: by then a checkpoint knows. Of a trainer
    that averages weights, its attribute ``averaged`` is kept and loaded.

    Attach it after the handler that measures, before ``TrainingCheckpoint``, to which it belongs as one of ``others``
    (a resumed run then chooses as the uninterrupted one would), and before ``BundleExport``, which must be given
    ``weights="last"`` where an evaluator chooses a ``best.pt``, too.

    Args:
        folder: where the snapshots are; created if needed.
        network: the network; of a GAN the generator.
        order: criteria, each a metric and ``"min"`` or ``"max"``.
        shortlist: epochs that the first criterion leaves.
        last: only the last so many measured epochs are candidates; None for all.

    Raises:
        ValueError: no criteria, a mode or number that is not allowed; while training: a metric of the order is
            missing where another one of it was measured.
        WeightsError: a snapshot that is gone or not the one that was written.

    Example::

        chooser = SnapshotChooser(folder, generator)
        checkpoint = TrainingCheckpoint(folder, generator, optimizer, others={"snapshots": chooser})
        handlers = [fidelity, chooser, checkpoint, export]
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        network: nn.Module,
        order: Sequence[tuple[str, str]] = (("frechet_distance", "min"), ("precision", "max")),
        shortlist: int = 4,
        last: int | None = None,
    ) -> None:
        wrong = [mode for _, mode in order if mode not in _MODES]
        if not order or wrong:
            raise ValueError(f"order is {list(order)!r}, needed: pairs of a metric and one of {_MODES}.")
        if shortlist < 1 or (last is not None and last < 1):
            raise ValueError(f"shortlist={shortlist}, last={last}: both must be 1 or more (or last None).")
        self.folder, self.network = Path(folder), network
        self.order = [(metric, mode) for metric, mode in order]
        self.shortlist, self.last = shortlist, last
        self.candidates: list[Snapshot] = []
        self._measured: list[int] = []
        self._stale: set[int] = set()

    @property
    def best(self) -> Snapshot | None:
        """The snapshot that would be chosen now; None before the first measured epoch."""
        by_first = sorted(self.candidates, key=self._rank)[: self.shortlist]
        rest = [*self.order[1:], self.order[0]]
        return min(by_first, key=lambda snapshot: _key(snapshot, rest), default=None)

    def path(self, epoch: int) -> Path:
        """The file of an epoch's weights."""
        return self.folder / f"snapshot_{epoch:04d}.pt"

    def attach(self, engine: Engine) -> None:
        """Attaches to a trainer."""
        engine.add_event_handler(Events.EPOCH_STARTED, self.tidy)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self)
        engine.add_event_handler(Events.COMPLETED, self.restore)

    def __call__(self, engine: Engine) -> None:
        """Keeps the weights of this epoch if it was measured and may be chosen."""
        metrics = {metric: engine.state.metrics.get(metric) for metric, _ in self.order}
        missing = [metric for metric, value in metrics.items() if value is None]
        if len(missing) == len(metrics):
            return
        if missing:
            raise ValueError(f"epoch {engine.state.epoch}: no {missing} beside {sorted(metrics.keys() - missing)}.")
        values = {metric: float(value) for metric, value in metrics.items()}
        if not all(map(math.isfinite, values.values())):
            _logger.warning("epoch %d is no candidate: %s", engine.state.epoch, values)
            return
        self._add(Snapshot(engine.state.epoch, values, ""), getattr(engine, "averaged", self.network))

    def tidy(self, engine: Engine) -> None:
        """Deletes the files of snapshots that are out (rank 0 alone)."""
        if current_rank() == 0:
            for epoch in self._stale:
                self.path(epoch).unlink(missing_ok=True)
        self._stale = set()

    def restore(self, engine: Engine) -> None:
        """Loads the best snapshot into the network, of a GAN into the averaged generator (rank 0 alone)."""
        best = self.best
        if best is None:
            _logger.warning("no epoch was measured: the last weights stay.")
            return
        if current_rank() == 0:
            path = self.path(best.epoch)
            load_strict(getattr(engine, "averaged", self.network), read_weights(path, best.sha256), str(path))
            _logger.info("snapshot of epoch %d chosen: %s", best.epoch, dict(best.values))

    def state_dict(self) -> dict[str, Any]:
        """Candidates, measured epochs, and files that are to be deleted."""
        candidates = [asdict(snapshot) for snapshot in self.candidates]
        return {"candidates": candidates, "measured": list(self._measured), "stale": sorted(self._stale)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continues where the state was taken.

        Raises:
            MissingWeightsError: a candidate's file is gone.
        """
        candidates = [Snapshot(**entry) for entry in state["candidates"]]
        gone = [str(self.path(snapshot.epoch)) for snapshot in candidates if not self.path(snapshot.epoch).is_file()]
        if gone and current_rank() == 0:
            raise MissingWeightsError(f"snapshots {gone} are gone.")
        self.candidates, self._measured, self._stale = candidates, list(state["measured"]), set(state["stale"])

    def _add(self, snapshot: Snapshot, judged: nn.Module) -> None:
        self._measured = [*self._measured, snapshot.epoch][-(self.last or 1) :]
        others = [one for one in self.candidates if one.epoch != snapshot.epoch]
        kept = self._possible([*others, snapshot])
        if snapshot in kept and current_rank() == 0:
            self.folder.mkdir(parents=True, exist_ok=True)
            sha256 = save_weights(judged.state_dict(), self.path(snapshot.epoch))
            kept = [Snapshot(one.epoch, one.values, sha256) if one is snapshot else one for one in kept]
        epochs = {one.epoch for one in kept}
        self._stale = (self._stale | {one.epoch for one in others}) - epochs
        self.candidates = kept

    def _possible(self, snapshots: Sequence[Snapshot]) -> list[Snapshot]:
        """Those that may still be chosen: a snapshot is out when enough better ones leave no earlier than it does."""
        inside = [one for one in snapshots if self.last is None or one.epoch in self._measured]
        return [
            one
            for one in inside
            if sum(
                self._rank(other) < self._rank(one) and (self.last is None or other.epoch > one.epoch)
                for other in inside
            )
            < self.shortlist
        ]

    def _rank(self, snapshot: Snapshot) -> tuple[float, ...]:
        return _key(snapshot, self.order)


def _key(snapshot: Snapshot, order: Sequence[tuple[str, str]]) -> tuple[float, ...]:
    """Smaller is better."""
    signed = [snapshot.values[metric] * (1.0 if mode == "min" else -1.0) for metric, mode in order]
    return (*signed, -snapshot.epoch)
