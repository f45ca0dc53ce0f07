# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Makes the order and the augmentation of an epoch's data a function of the epoch's number."""

from __future__ import annotations

from ignite.engine import Engine, Events
from monai.data.utils import set_rnd
from torch.utils.data import DataLoader

from monai_genaug.generators import current_rank, derive_seed

__all__ = ["EpochSeeds"]


class EpochSeeds:
    """Seeds a loader at the start of each epoch with (seed, epoch, rank), so that a resumed run sees the same data.

    The loader's generator shuffles and, where there are workers, seeds them (MONAI's ``DataLoader`` passes that on to
    the random transforms); without workers the random transforms are seeded here. A ``DistributedSampler`` is told the
    epoch by MONAI's engines.

    Attach it after handlers that change the data, such as :class:`PoolRefresh`.

    Args:
        loader: the training loader, with a generator of its own: ``DataLoader(..., generator=torch.Generator())``.
        seed: of the run.

    Raises:
        ValueError: a loader without generator, with persistent workers, or longer than an epoch: their data depend on
            the epochs before.

    Example::

        EpochSeeds(loader, seed=0).attach(trainer)
    """

    def __init__(self, loader: DataLoader[object], seed: int = 0) -> None:
        if loader.generator is None:
            raise ValueError("the loader has no generator: give it generator=torch.Generator().")
        if loader.persistent_workers:
            raise ValueError(
                "persistent workers keep their random state from epoch to epoch: persistent_workers=False."
            )
        self.loader, self.seed = loader, seed

    def attach(self, engine: Engine) -> None:
        """Attaches to a trainer."""
        engine.add_event_handler(Events.EPOCH_STARTED, self)

    def __call__(self, engine: Engine) -> None:
        """Seeds the epoch that starts, and has it read from the loader's beginning."""
        if engine.state.epoch_length != len(self.loader):
            raise ValueError(f"epoch_length is {engine.state.epoch_length}, the loader has {len(self.loader)} batches.")
        parts = (self.seed, engine.state.epoch, current_rank())
        self.loader.generator.manual_seed(derive_seed("epoch", *parts))
        if self.loader.num_workers == 0:
            set_rnd(self.loader.dataset, derive_seed("augmentation", *parts))
        # the last epoch's iterator would still draw from the generator while it ends
        engine.set_data(self.loader)
