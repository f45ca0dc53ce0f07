# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""New synthetic samples as a training goes on."""

from __future__ import annotations

import operator

from ignite.engine import Engine, Events

from monai_genaug.generators.refreshed_pool import RefreshedPool

__all__ = ["PoolRefresh"]


class PoolRefresh:
    """Gives every epoch, or every few, a generation of a :class:`RefreshedPool` of its own.

    Epoch e reads generation (e - 1) // ``interval``, in a resumed run too. At the start of an epoch its generation
    becomes the present one, for loader workers that live on as well (``persistent_workers=True``), and the next one
    is prepared in the background, if the run will come to it. The training waits where that has not ended in time, and
    a warning says how long.

    Attach it before what starts the loader anew at the start of an epoch, such as :class:`EpochSeeds`. An epoch should
    be as long as its loader: workers read ahead, and with a shorter one the next epoch gets what they have read.

    Args:
        pool: a RefreshedPool, or that of a ``SyntheticDataset(..., refreshed=True)``.
        interval: epochs per generation.

    Raises:
        TypeError: something else than a RefreshedPool.
        ValueError: an interval below 1.

    Example::

        import monai_genaug as mg
        import torch
        from monai.data import DataLoader
        from monai.engines import SupervisedTrainer
        from monai.networks.nets import Classifier
        from monai_genaug.handlers import PoolRefresh

        plan = {"malignant": 8, "normal or benign": 8}
        data = mg.SyntheticDataset("breast_us_cvae", plan, refreshed=True)
        loader = DataLoader(data, batch_size=4, shuffle=True, num_workers=2, persistent_workers=True)
        network = Classifier((1, 28, 28), classes=2, channels=(4, 8), strides=(2, 2))
        optimizer = torch.optim.Adam(network.parameters())
        trainer = SupervisedTrainer(
            torch.device("cpu"), 2, loader, network, optimizer, torch.nn.functional.cross_entropy
        )
        PoolRefresh(data.pool).attach(trainer)
        trainer.run()
    """

    def __init__(self, pool: RefreshedPool, interval: int = 1) -> None:
        if not isinstance(pool, RefreshedPool):
            raise TypeError(f"pool is a {type(pool).__name__}, allowed: RefreshedPool (SyntheticDataset makes one).")
        if operator.index(interval) < 1:
            raise ValueError(f"interval is {interval}, allowed: 1 or more epochs.")
        self.pool, self.interval = pool, interval

    def attach(self, engine: Engine) -> None:
        """Attaches to a trainer."""
        engine.add_event_handler(Events.EPOCH_STARTED, self)
        engine.add_event_handler(Events.COMPLETED, self.stop)

    def __call__(self, engine: Engine) -> None:
        """Switches to the generation of the epoch that starts, and prepares the next one.

        Raises:
            RuntimeError: a generation could not be built.
        """
        generation = (engine.state.epoch - 1) // self.interval
        self.pool.switch_to(generation)
        last = engine.state.max_epochs
        if last is None or last > (generation + 1) * self.interval:
            self.pool.prepare(generation + 1)

    def stop(self, engine: Engine) -> None:
        """Prepares no more when the run ends."""
        self.pool.stop()
