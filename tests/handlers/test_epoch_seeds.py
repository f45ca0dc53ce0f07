# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import pytest
import torch
from ignite.engine import Engine
from monai.data import DataLoader, Dataset
from monai.transforms import Compose, RandomizableTransform

from monai_genaug.handlers import EpochSeeds


class DrawNumber(RandomizableTransform):
    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        return {**data, "drawn": float(self.R.random())}


def loader(workers: int = 0, **changes: Any) -> DataLoader:
    data = Dataset([{"index": i} for i in range(6)], Compose([DrawNumber()]))
    arguments = {"batch_size": 2, "shuffle": True, "num_workers": workers, "generator": torch.Generator(), **changes}
    return DataLoader(data, **arguments)


def epochs(workers: int, first: int, last: int, seed: int = 0) -> dict[int, list[tuple[int, float]]]:
    """What the epochs saw, in order; epochs before ``first`` are skipped, as after a resume."""
    seen: dict[int, list[tuple[int, float]]] = {}

    def step(engine: Engine, batch: dict[str, Any]) -> None:
        pairs = zip(batch["index"].tolist(), batch["drawn"].tolist(), strict=True)
        seen.setdefault(engine.state.epoch, []).extend(pairs)

    engine, data = Engine(step), loader(workers)
    EpochSeeds(data, seed).attach(engine)
    engine.load_state_dict({"epoch": first - 1, "epoch_length": len(data), "max_epochs": last})
    engine.run(data)
    return seen


@pytest.mark.parametrize("workers", [0, 2])
def test_an_epoch_does_not_depend_on_the_ones_before(workers: int) -> None:
    straight, resumed = epochs(workers, 1, 3), epochs(workers, 3, 3)
    assert resumed[3] == straight[3]
    assert sorted(index for index, _ in straight[1]) == list(range(6))
    draws = [draw for seen in straight.values() for _, draw in seen]
    assert len(set(draws)) == len(draws)
    assert [index for index, _ in straight[1]] != [index for index, _ in straight[2]]


def test_seeds_and_ranks_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    first = epochs(0, 1, 1)
    assert epochs(0, 1, 1, seed=1) != first
    monkeypatch.setenv("RANK", "1")
    assert epochs(0, 1, 1) != first


def test_loaders_that_cannot_be_seeded_are_refused() -> None:
    with pytest.raises(ValueError, match="generator"):
        EpochSeeds(loader(generator=None))
    with pytest.raises(ValueError, match="persistent"):
        EpochSeeds(loader(workers=1, persistent_workers=True))


def test_epochs_shorter_than_the_loader_are_refused() -> None:
    engine, data = Engine(lambda engine, batch: None), loader()
    EpochSeeds(data).attach(engine)
    with pytest.raises(ValueError, match="epoch_length is 2"):
        engine.run(data, max_epochs=1, epoch_length=2)
