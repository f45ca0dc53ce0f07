# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""No two equal sample seeds across ranks, workers and epochs, and the same ones again in the next run."""

from __future__ import annotations

import itertools
import json
import pickle
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import monai.data
import pytest
import torch
import torch.utils.data
from ignite.engine import Engine
from monai.data import CacheDataset, Dataset, SmartCacheDataset
from monai.transforms import Compose

from monai_genaug.data import mix_concatenate
from monai_genaug.generators import LatentGenerator, VAEGenerator
from monai_genaug.transforms import GenerativePrepareBatch, RandGenerativeSampled
from tests.ranks import run_ranks

LOADERS = {"monai": monai.data.DataLoader, "torch": torch.utils.data.DataLoader}
DATASETS: dict[str, Callable[[Any, Any], Any]] = {
    "Dataset": Dataset,
    "CacheDataset": lambda data, transform: CacheDataset(data, transform, num_workers=0, progress=False),
    "SmartCacheDataset": lambda data, transform: SmartCacheDataset(
        data, transform, replace_rate=0.25, cache_num=6, num_init_workers=1, num_replace_workers=1, progress=False
    ),
}


def seeds_of(batch: list[dict[str, Any]]) -> list[int]:
    """A collate function: pickled into spawned workers, hence at module level."""
    return [item["image"].meta["synthetic_seed"] for item in batch]


def items(count: int = 8) -> list[dict[str, Any]]:
    return [{"image": torch.full((1, 16, 16), k / count)} for k in range(count)]


def run(
    generator: LatentGenerator, loader: str, dataset: str, epochs: int = 2, seeded: bool = True, **options: Any
) -> list[int]:
    """The sample seeds of all epochs of one rank, in order."""
    chain = Compose([RandGenerativeSampled("image", generator, prob=1.0)])
    if seeded:
        chain.set_random_state(0)
    base = torch.Generator().manual_seed(0)
    data = DATASETS[dataset](items(), chain)
    batches = LOADERS[loader](data, batch_size=2, collate_fn=seeds_of, generator=base, **options)
    return [seed for _ in range(epochs) for batch in batches for seed in batch]


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("dataset", list(DATASETS))
@pytest.mark.parametrize("loader", list(LOADERS))
def test_two_ranks_workers_and_epochs(
    loader: str, dataset: str, workers: int, plain: LatentGenerator, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = []
    for rank in ("0", "1", "0", "1"):
        monkeypatch.setenv("RANK", rank)
        runs.append(run(plain, loader, dataset, num_workers=workers))
    assert runs[:2] == runs[2:], "not reproducible"
    both = runs[0] + runs[1]
    assert len(set(both)) == len(both) == 2 * 2 * (6 if dataset == "SmartCacheDataset" else 8)


@pytest.mark.parametrize("loader", list(LOADERS))
def test_persistent_workers(loader: str, plain: LatentGenerator) -> None:
    seeds = run(plain, loader, "Dataset", epochs=3, num_workers=2, persistent_workers=True)
    assert len(set(seeds)) == len(seeds) == 24


def test_thread_workers(plain: LatentGenerator) -> None:
    """Two threads at the same transform."""
    chain = Compose([RandGenerativeSampled("image", plain, prob=1.0)])
    batches = monai.data.ThreadDataLoader(
        Dataset(items(), chain), batch_size=2, num_workers=2, use_thread_workers=True, collate_fn=seeds_of
    )
    seeds = [seed for _ in range(3) for batch in batches for seed in batch]
    assert len(set(seeds)) == len(seeds) == 24


@pytest.mark.parametrize("loader", list(LOADERS))
def test_without_any_seed(loader: str, plain: LatentGenerator) -> None:
    seeds = [run(plain, loader, "Dataset", seeded=False, num_workers=workers) for workers in (0, 2)]
    assert len(set(itertools.chain(*seeds))) == 32


class Recording(VAEGenerator):
    """Notes the seeds of its samples."""

    def __init__(self, generator: VAEGenerator) -> None:
        super().__init__(generator.network, generator.spec)
        self.seeds: list[int] = []

    def sample(self, seeds: Sequence[int], *arguments: Any) -> dict[str, torch.Tensor]:
        self.seeds += seeds
        return super().sample(seeds, *arguments)


def train(generator: VAEGenerator) -> list[int]:
    """The sample seeds of a trainer's two epochs, replaced per batch."""
    recording = Recording(generator)
    prepare = GenerativePrepareBatch("image", recording, prob=1.0)
    trainer = Engine(lambda engine, batch: prepare(batch))
    prepare.attach(trainer)
    trainer.run(monai.data.DataLoader(Dataset(items()), batch_size=2, num_workers=2), max_epochs=2)
    return recording.seeds


def draw_as_rank(rank: int, generator: VAEGenerator, folder: Path) -> None:
    """Both ranks do the same with the same seeds; nothing but the process group tells them apart."""
    found = {f"{loader} {n}": run(generator, loader, "Dataset", num_workers=2) for loader in LOADERS for n in "12"}
    found |= {f"batch {n}": train(generator) for n in "12"}
    for loader in LOADERS if rank else ():  # each worker takes seconds to start; the rank that can get lost is 1
        for start in ("fork", "spawn"):
            options = {"epochs": 1, "num_workers": 1, "multiprocessing_context": start}
            found[f"{loader} {start}"] = run(generator, loader, "Dataset", **options)
    (folder / f"{rank}.json").write_text(json.dumps(found))


def test_two_processes_with_two_workers_for_two_epochs(plain: VAEGenerator, tmp_path: Path) -> None:
    run_ranks(draw_as_rank, plain, tmp_path)
    zero, one = (json.loads((tmp_path / f"{rank}.json").read_text()) for rank in range(2))
    for what in ("monai", "torch", "batch"):
        both = zero[f"{what} 1"] + one[f"{what} 1"]
        assert len(set(both)) == len(both) == 2 * 2 * 8
        assert all(rank[f"{what} 1"] == rank[f"{what} 2"] for rank in (zero, one)), "not reproducible"
    for loader in LOADERS:
        assert one[f"{loader} spawn"] == one[f"{loader} fork"], "spawned workers differ from forked ones"


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("loader", list(LOADERS))
def test_members_of_a_mixture(loader: str, workers: int, plain: LatentGenerator) -> None:
    """A plain ConcatDataset would give both members the same seeds."""
    chains = [Compose([RandGenerativeSampled("image", plain, prob=1.0)]) for _ in range(2)]
    mixed = mix_concatenate(*(Dataset(items(), chain) for chain in chains)).set_random_state(0)
    batches = LOADERS[loader](mixed, batch_size=2, collate_fn=seeds_of, num_workers=workers)
    seeds = [seed for _ in range(2) for batch in batches for seed in batch]
    assert len(set(seeds)) == len(seeds) == 2 * 16


def test_pickling_carries_the_rank(plain: LatentGenerator, monkeypatch: pytest.MonkeyPatch) -> None:
    """A spawned worker has no process group, and without torchrun no RANK either."""
    transform = RandGenerativeSampled("image", plain, prob=1.0)
    pickled = []
    for rank in ("0", "1"):
        monkeypatch.setenv("RANK", rank)
        pickled.append(pickle.dumps(transform))
    monkeypatch.delenv("RANK")
    zero, one, other = (seeds_of([pickle.loads(p)(items()[0])])[0] for p in (*pickled, pickled[0]))
    assert zero == other != one
