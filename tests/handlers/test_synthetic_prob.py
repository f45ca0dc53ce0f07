# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import pytest
import torch
from ignite.engine import Engine, Events
from monai.data import DataLoader, Dataset
from monai.transforms import Compose, RandFlipd

from monai_genaug.handlers import SyntheticProbScheduler
from monai_genaug.transforms import GenerativePrepareBatch, RandGenerativeSample, RandGenerativeSampled
from tests.toy import toy_generator

GENERATOR = toy_generator((16, 16), mask=False)


def schedule_of(transform: Any, schedule: Any, epochs: int) -> list[Any]:
    engine, seen = Engine(lambda engine, batch: None), []
    SyntheticProbScheduler(transform, schedule).attach(engine)
    engine.add_event_handler(Events.EPOCH_COMPLETED, lambda _: seen.append(transform.prob))
    engine.run([0], max_epochs=epochs)
    return seen


@pytest.mark.parametrize("kind", [RandGenerativeSample, RandGenerativeSampled, GenerativePrepareBatch])
def test_lines_and_functions(kind: Any) -> None:
    transform = kind(GENERATOR, prob=0.9) if kind is RandGenerativeSample else kind("image", GENERATOR, prob=0.9)
    assert transform.prob == 0.9
    assert schedule_of(transform, [(2, 0.0), (4, 1.0)], 5) == [0.0, 0.0, 0.5, 1.0, 1.0]
    assert schedule_of(transform, lambda epoch: 1 / epoch, 2) == [1.0, 0.5]


def test_per_class_probabilities_are_scaled() -> None:
    transform = RandGenerativeSampled("image", GENERATOR, prob={"a": 0.8, "b": 0.4}, class_key="y")
    assert schedule_of(transform, [(1, 1.0), (3, 0.0)], 3) == [
        {"a": 0.8, "b": 0.4},
        {"a": 0.4, "b": 0.2},
        {"a": 0.0, "b": 0.0},
    ]


@pytest.mark.parametrize("context", ["fork", pytest.param("spawn")])
def test_persistent_workers_see_it(context: str) -> None:
    transform = RandGenerativeSampled("image", GENERATOR, prob=0.5)
    data = Dataset(
        [{"image": torch.zeros(1, 16, 16)} for _ in range(4)], Compose([transform, RandFlipd("image", prob=0.5)])
    )
    workers = 1 if context == "spawn" else 2
    loader = DataLoader(
        data, batch_size=2, num_workers=workers, persistent_workers=True, multiprocessing_context=context
    )
    seen: dict[int, list[bool]] = {}

    def step(engine: Engine, batch: dict[str, Any]) -> None:
        seen.setdefault(engine.state.epoch, []).extend(batch["is_synthetic"].tolist())

    engine = Engine(step)
    SyntheticProbScheduler(transform, lambda epoch: float(epoch % 2)).attach(engine)
    engine.run(loader, max_epochs=4)
    assert seen == {1: [True] * 4, 2: [False] * 4, 3: [True] * 4, 4: [False] * 4}


def test_bad_schedules() -> None:
    transform = RandGenerativeSampled("image", GENERATOR, prob=0.3)
    for points, text in (([], "pairs"), ([(1, 0.1, 2)], "pairs"), ([(2, 0.1), (1, 0.2)], "rise"), ([(1, 1.5)], "1.5")):
        with pytest.raises(ValueError, match=text):
            SyntheticProbScheduler(transform, points)
    with pytest.raises(ValueError, match=r"2\.0.*0 to 1"):
        schedule_of(transform, lambda epoch: 2.0, 1)
    assert transform.prob == 0.3
    with pytest.raises(TypeError, match="RandFlipd"):
        SyntheticProbScheduler(RandFlipd("image"), [(1, 0.5)])  # type: ignore[arg-type]
