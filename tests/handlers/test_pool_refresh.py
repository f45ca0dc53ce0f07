# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import logging
import textwrap
from pathlib import Path
from typing import Any

import pytest
import torch
from ignite.engine import Engine
from monai.data import DataLoader

from monai_genaug.data import SyntheticDataset
from monai_genaug.generators import RefreshedPool, build_pool, derive_seed, refreshed_pool
from monai_genaug.handlers import PoolRefresh
from tests.ranks import run_ranks
from tests.toy import toy_generator

SHAPE = (8, 8)
Seen = dict[int, list[int]]


def run(folder: Path, first: int, last: int, interval: int, workers: int = 0) -> Seen:
    """Seeds of the items that each epoch sees; epochs before ``first`` are skipped, as after a resume."""
    data = SyntheticDataset(toy_generator(SHAPE), 4, cache_dir=folder, refreshed=True)
    loader = DataLoader(data, batch_size=2, num_workers=workers, persistent_workers=workers > 0)
    seen: Seen = {}

    def step(engine: Engine, batch: dict[str, Any]) -> None:
        seen.setdefault(engine.state.epoch, []).extend(batch["seed"].tolist())
        expected = toy_generator(SHAPE).sample(batch["seed"].tolist())["image"]
        torch.testing.assert_close(batch["image"].as_subclass(torch.Tensor), expected, rtol=0, atol=1e-4)

    engine = Engine(step)
    PoolRefresh(data.pool, interval).attach(engine)
    engine.load_state_dict({"epoch": first - 1, "epoch_length": len(loader), "max_epochs": last})
    engine.run(loader)
    return seen


def seeds(epoch: int, interval: int) -> list[int]:
    generation = (epoch - 1) // interval
    return [derive_seed("pool", derive_seed("generation", 0, generation) if generation else 0, i) for i in range(4)]


def as_rank(rank: int, root: Path) -> None:
    torch.save(run(root / "pool", 1, 3, interval=2, workers=1), root / f"seen_{rank}.pt")


def test_ranks_and_resumed_runs_see_what_the_epoch_says(tmp_path: Path) -> None:
    run_ranks(as_rank, tmp_path)
    for rank in range(2):
        assert torch.load(tmp_path / f"seen_{rank}.pt") == {epoch: seeds(epoch, 2) for epoch in (1, 2, 3)}
    for folder in ("pool", "elsewhere"):  # that of the run, and an empty one
        assert run(tmp_path / folder, 4, 4, interval=2) == {4: seeds(4, 2)}
    assert {path.name for path in (tmp_path / "pool").iterdir() if path.is_dir()} == {"generation_0", "generation_1"}


def test_only_what_the_run_will_need_is_prepared(tmp_path: Path) -> None:
    pool = RefreshedPool(toy_generator(SHAPE), 4, tmp_path / "pool", progress=False)
    prepared: list[tuple[int, int, str | None]] = []

    def step(engine: Engine, batch: Any) -> None:
        folder = pool._background.folder  # type: ignore[union-attr]
        prepared.append((engine.state.epoch, pool.generation, None if folder is None else folder.name))
        pool.stop()

    engine = Engine(step)
    PoolRefresh(pool, 2).attach(engine)
    engine.run([0], max_epochs=5)
    names = ["generation_1", "generation_1", "generation_2", "generation_2", None]
    assert prepared == [(epoch, (epoch - 1) // 2, name) for epoch, name in enumerate(names, start=1)]


def test_nothing_is_prepared_after_the_end(tmp_path: Path) -> None:
    pool = RefreshedPool(toy_generator(SHAPE), 4, tmp_path / "pool", progress=False)
    engine = Engine(lambda engine, batch: engine.terminate())
    PoolRefresh(pool).attach(engine)
    engine.run([0], max_epochs=9)
    assert pool._background.folder is None  # type: ignore[union-attr]


def test_the_example_runs_and_says_how_long_it_waited(caplog: pytest.LogCaptureFixture) -> None:
    example = textwrap.dedent((PoolRefresh.__doc__ or "").partition("Example::\n")[2])
    names: dict[str, Any] = {}
    with caplog.at_level(logging.WARNING, refreshed_pool.__name__):
        exec(example, names)
    assert names["trainer"].state.epoch == 2
    assert names["data"].pool.generation == 1
    assert any("for generation 1 of" in message and message.startswith("waited ") for message in caplog.messages)


def test_bad_arguments(tmp_path: Path) -> None:
    plain = build_pool(toy_generator(SHAPE), 2, tmp_path / "plain", progress=False)
    with pytest.raises(TypeError, match="pool is a SamplePool, allowed: RefreshedPool"):
        PoolRefresh(plain)  # type: ignore[arg-type]
    pool = RefreshedPool(toy_generator(SHAPE), 2, tmp_path / "pool", progress=False)
    with pytest.raises(ValueError, match="interval is 0, allowed: 1 or more"):
        PoolRefresh(pool, 0)
