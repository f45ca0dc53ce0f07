# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import copy
import gc
import json
import os
import pickle
import shutil
import signal
import threading
import time
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest
import torch
from monai.data import DataLoader, Dataset
from torch.utils.data import DataLoader as TorchDataLoader

from monai_genaug.generators import RefreshedPool, SamplePool, VAEGenerator, build_pool, derive_seed
from monai_genaug.generators.base import Samples
from monai_genaug.transforms import RandGenerativeSampled
from tests.generators.pool_tools import are_missing
from tests.ranks import run_ranks
from tests.toy import toy_generator, toy_network, toy_spec

SHAPE = (8, 8)
CLASSES = ("a", "b", "c")
BLOCK = 1024  # items of so small images that are written at once


def made(folder: Path, **changes: Any) -> RefreshedPool:
    return RefreshedPool(
        **{"generator": toy_generator(SHAPE), "plan": 6, "folder": folder, "progress": False, **changes}
    )


def images(pool: RefreshedPool | SamplePool) -> torch.Tensor:
    return torch.stack([pool[i]["image"] for i in range(len(pool))])


def expected(generation: int, folder: Path, seed: int = 0, plan: Any = 6, **changes: Any) -> SamplePool:
    """What a generation is to be, built in another place."""
    generation_seed = derive_seed("generation", seed, generation) if generation else seed
    arguments = {"generator": toy_generator(SHAPE), "plan": plan, "progress": False, **changes}
    return build_pool(folder=folder.with_name(f"expected_{generation}"), seed=generation_seed, **arguments)


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def names(folder: Path) -> list[str]:
    """The pools; the builder's lock files are its own affair."""
    return sorted(path.name for path in folder.iterdir() if path.is_dir())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "pool"


@pytest.mark.parametrize("seed", [0, 5])
def test_a_generation_is_the_pool_of_its_seed(folder: Path, seed: int) -> None:
    pool = made(folder, seed=seed)
    for generation in (0, 1, 2, 7, 3):
        pool.switch_to(generation)
        wanted = expected(generation, folder, seed)
        assert pool.generation == generation
        assert pool.present.folder == folder / f"generation_{generation}"
        assert content(pool.present.folder) == content(wanted.folder)
        assert torch.equal(images(pool), images(wanted))
        assert torch.equal(pool.sample([1, 2, 3])["image"], wanted.sample([1, 2, 3])["image"])
        assert pool.spec == wanted.spec
        assert pool.record.identity == wanted.record.identity
        assert [pool.record.item_seed(i) for i in range(6)] == [wanted.record.item_seed(i) for i in range(6)]


def test_classes_truncation_and_storage_are_those_of_the_arguments(folder: Path) -> None:
    changes: dict[str, Any] = {"generator": toy_generator(SHAPE, classes=CLASSES), "truncation": 0.5, "dtype": "uint8"}
    pool = made(folder, plan={"b": 3, "c": 0, 0: 2}, **changes)
    pool.switch_to(1)
    wanted = expected(1, folder, plan={"b": 3, "c": 0, 0: 2}, **changes)
    assert torch.equal(images(pool), images(wanted))
    assert pool.spec == wanted.spec
    assert pool.record.dtype == "uint8"
    assert len(pool) == 5
    assert list(pool.classes or ()) == [1, 1, 1, 0, 0]
    assert torch.equal(pool.sample([4, 5], "a")["image"], wanted.sample([4, 5], "a")["image"])
    with pytest.raises(ValueError, match="'c' is unknown"):
        pool.sample([1], "c")


def test_the_generation_before_the_present_one_stays_until_the_next_switch(folder: Path) -> None:
    pool = made(folder)
    kept = []
    for generation in (1, 2, 3, 3, 5, 4):
        pool.switch_to(generation)
        kept.append(names(folder))
    digits = [[int(name.removeprefix("generation_")) for name in found] for found in kept]
    assert digits == [[0, 1], [1, 2], [2, 3], [3], [3, 5], [4, 5]]
    assert len(list(folder.iterdir())) <= 4


def test_who_is_reading_an_old_generation_reads_on_and_then_reads_the_present_one(folder: Path) -> None:
    pool = made(folder)
    reader, late = pickle.loads(pickle.dumps(pool)), pickle.loads(pickle.dumps(pool))
    counters = [copied._counter for copied in (reader, late)]
    old, item = reader.present, reader[0]["image"].clone()
    pool.switch_to(1)
    pool.switch_to(2)
    assert not (folder / "generation_0").exists()
    assert torch.equal(old[0]["image"], item)
    for counter in counters:
        counter.fill_(2)
    for copied in (reader, late):  # one has a generation open, the other never had one
        assert torch.equal(copied[0]["image"], pool[0]["image"])


def test_threads_read_whole_generations_while_they_change(folder: Path) -> None:
    pool, ended, wrong = made(folder), threading.Event(), []
    reader = copy.copy(pool)
    known = {g: images(expected(g, folder)) for g in range(8)}

    def read() -> None:
        while not ended.is_set():
            present = reader.present
            item = present[3]["image"]
            if not any(torch.equal(item, known[g][3]) for g in known) or present.record.seed not in seeds:
                wrong.append(present)

    seeds = {SamplePool(folder.with_name(f"expected_{g}")).record.seed for g in known}
    threads = [threading.Thread(target=read) for _ in range(3)]
    for thread in threads:
        thread.start()
    for generation in range(1, 8):
        pool.switch_to(generation)
    ended.set()
    for thread in threads:
        thread.join()
    assert not wrong


class Chosen(Dataset):
    """Real items beside a chain that replaces all of them by items of the pool; also the pool's own first item."""

    def __init__(self, pool: RefreshedPool) -> None:
        real = {"image": torch.rand(1, *SHAPE), "label": torch.zeros(1, *SHAPE, dtype=torch.uint8)}
        super().__init__([real] * 4, RandGenerativeSampled(("image", "label"), pool, prob=1.0))
        self.pool = pool

    def __getitem__(self, index: Any) -> Any:
        return {"drawn": super().__getitem__(index)["image"].as_subclass(torch.Tensor), "first": self.pool[0]["image"]}


@pytest.mark.parametrize(
    ("loader", "workers", "context"),
    [(DataLoader, 2, "fork"), (DataLoader, 0, None), (TorchDataLoader, 2, "fork"), (DataLoader, 1, "spawn")],
)
def test_loader_workers_that_live_on_see_each_switch(folder: Path, loader: Any, workers: int, context: Any) -> None:
    pool = made(folder)
    batches = loader(
        Chosen(pool),
        batch_size=2,
        num_workers=workers,
        persistent_workers=workers > 0,
        multiprocessing_context=context,
    )
    for generation in (0, 1, 2, 3):
        pool.switch_to(generation)
        wanted = images(expected(generation, folder))
        for batch in batches:
            assert torch.equal(batch["first"], wanted[[0, 0]])
            assert all(any(torch.equal(drawn, item) for item in wanted) for drawn in batch["drawn"])


def test_copies_read_and_change_nothing(folder: Path) -> None:
    pool = made(folder)
    assert copy.deepcopy(pool) is pool
    text = pickle.dumps(pool)
    assert len(text) < 10_000
    copied = pickle.loads(text)
    assert copied.spec == pool.spec
    assert torch.equal(images(copied), images(pool))
    for change in (lambda: copied.switch_to(1), lambda: copied.prepare(1), copied.stop):
        with pytest.raises(RuntimeError, match="only the process that made"):
            change()
    process = get_context("fork").Process(target=pool.switch_to, args=(1,))
    process.start()
    process.join(60)
    assert process.exitcode == 1
    assert pool.generation == 0
    assert names(folder) == ["generation_0"]


@pytest.mark.parametrize("generation", [-1, 1.5, "1"])
def test_numbers_that_are_no_generation(folder: Path, generation: Any) -> None:
    pool = made(folder)
    for change in (pool.switch_to, pool.prepare):
        with pytest.raises((ValueError, TypeError)):
            change(generation)
    assert pool.generation == 0


class Watched(VAEGenerator):
    """Notes process and seeds of each call; stops before a short block as long as there is a file ``hold``."""

    def __init__(self, place: Path) -> None:
        super().__init__(toy_network(SHAPE), toy_spec(SHAPE))
        self.place, self.batch_size = place, BLOCK

    def _generate(self, seeds: list[int], classes: list[int] | None, truncation: float) -> Samples:
        with (self.place / "calls").open("a") as file:
            file.write(json.dumps([os.getpid(), seeds]) + "\n")
        while 1 < len(seeds) < BLOCK and (self.place / "hold").exists():
            time.sleep(0.01)
        return super()._generate(seeds, classes, truncation)

    def calls(self) -> list[tuple[int, list[int]]]:
        """Process and seeds, of all blocks; calls for one sample are trials."""
        lines = (self.place / "calls").read_text().splitlines()
        return [(process, seeds) for process, seeds in map(json.loads, lines) if len(seeds) > 1]


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def seeds_of(generation: int, items: range) -> list[int]:
    return [derive_seed("pool", derive_seed("generation", 0, generation), i) for i in items]


def test_a_background_process_that_is_killed_is_told_of_and_its_work_continued(tmp_path: Path, folder: Path) -> None:
    generator = Watched(tmp_path)
    pool = made(folder, generator=generator, plan=2 * BLOCK + 6)
    (tmp_path / "hold").touch()
    pool.prepare(1)
    process = pool._background._process  # type: ignore[union-attr]
    assert process is not None
    pool.prepare(1)
    assert pool._background._process is process  # type: ignore[union-attr]
    wait_for(lambda: len(generator.calls()) == 6)
    wait_for(lambda: are_missing(folder / "generation_1.partial", [2]))
    assert {number for number, _ in generator.calls()[3:]} == {process.pid} != {os.getpid()}
    assert os.getpriority(os.PRIO_PROCESS, process.pid) > os.getpriority(os.PRIO_PROCESS, 0)
    assert pool.generation == 0
    process.kill()
    with pytest.raises(RuntimeError, match=r"builds .*generation_1 ended with exit code -9"):
        pool.switch_to(1)
    assert pool.generation == 0
    (tmp_path / "hold").unlink()
    pool.switch_to(1)
    assert generator.calls()[6:] == [(os.getpid(), seeds_of(1, range(2 * BLOCK, 2 * BLOCK + 6)))]
    assert content(pool.present.folder) == content(expected(1, folder, plan=2 * BLOCK + 6, generator=generator).folder)


def run_until_killed(place: Path, folder: Path) -> None:
    pool = made(folder, generator=Watched(place), plan=2 * BLOCK + 6)
    pool.switch_to(2)
    (place / "hold").touch()
    pool.prepare(3)
    (place / "pid").write_text(str(pool._background._process.pid))  # type: ignore[union-attr]
    time.sleep(600)


def test_a_run_that_is_killed_takes_the_background_with_it_and_leaves_what_can_be_used(
    tmp_path: Path, folder: Path
) -> None:
    generator = Watched(tmp_path)
    run = get_context("fork").Process(target=run_until_killed, args=(tmp_path, folder))
    run.start()
    wait_for((tmp_path / "pid").exists)
    wait_for(lambda: len(generator.calls()) == 9)
    wait_for(lambda: are_missing(folder / "generation_3.partial", [2]))
    run.kill()
    run.join()
    background = int((tmp_path / "pid").read_text())
    wait_for(lambda: not is_alive(background))
    (tmp_path / "hold").unlink()
    shutil.rmtree(folder / "generation_0")  # as one switch more would have done
    (folder / "generation_1.removed").mkdir()
    pool = made(folder, generator=generator, plan=2 * BLOCK + 6)
    assert len(generator.calls()) == 9  # generation 0 is made for those who need it
    pool.switch_to(3)
    assert generator.calls()[9:] == [(os.getpid(), seeds_of(3, range(2 * BLOCK, 2 * BLOCK + 6)))]
    assert content(pool.present.folder) == content(expected(3, folder, plan=2 * BLOCK + 6, generator=generator).folder)
    assert names(folder) == ["generation_3"]


def is_alive(process: int) -> bool:
    """Whether a process runs; one that has ended may wait for a parent to collect it."""
    try:
        os.kill(process, 0)
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False


def test_generation_0_is_made_anew_for_who_reads_it_after_a_run_that_came_further(folder: Path) -> None:
    first = images(made(folder))
    made(folder).switch_to(1)
    pool = made(folder)
    pool.switch_to(2)
    assert names(folder) == ["generation_0", "generation_2"]
    shutil.rmtree(folder / "generation_0")
    resumed = made(folder)
    assert names(folder) == ["generation_2"]
    assert resumed.generation == 0
    assert resumed.spec == made(folder.with_name("other")).spec
    with pytest.raises(ValueError, match=r"generation_0 is not there: switch_to\(0\) builds it"):
        pickle.loads(pickle.dumps(resumed))[0]
    assert torch.equal(images(resumed), first)


def test_dropping_the_pool_ends_the_background(folder: Path) -> None:
    pool = made(folder)
    pool.prepare(1)
    process = pool._background._process  # type: ignore[union-attr]
    assert process is not None
    copied = pickle.loads(pickle.dumps(pool))
    del pool
    gc.collect()
    assert process.returncode == -signal.SIGKILL
    assert len(images(copied)) == 6


def test_preparing_what_is_there_starts_nothing_and_stop_ends_it(folder: Path) -> None:
    pool = made(folder)
    pool.prepare(0)
    assert pool._background.folder is None  # type: ignore[union-attr]
    pool.prepare(1)
    first = pool._background._process  # type: ignore[union-attr]
    pool.switch_to(0)
    assert first is not None
    assert first.poll() is None
    pool.prepare(2)
    assert first.returncode == -signal.SIGKILL
    second = pool._background._process  # type: ignore[union-attr]
    pool.stop()
    assert second is not None
    assert second.returncode == -signal.SIGKILL
    pool.stop()
    pool.switch_to(1)
    assert torch.equal(images(pool), images(expected(1, folder)))


def together(rank: int, root: Path) -> None:
    """Both ranks read the same; one of them cannot use what it finds."""
    pool = made(root / "pool")
    for generation in (0, 1, 2):
        pool.switch_to(generation)
        torch.save(images(pool), root / f"{rank}_{generation}.pt")
        torch.distributed.barrier()
    alone = made(root / f"own_{rank}", distributed=False)
    if rank == 1:  # no other rank is needed
        alone.switch_to(1)
        torch.save(images(alone), root / "alone.pt")
    torch.distributed.barrier()
    if rank == 0:
        (root / "pool" / "notes.txt").touch()
    with pytest.raises((ValueError, RuntimeError), match=r"holds notes\.txt"):
        made(root / "pool")


def test_two_ranks_switch_together(tmp_path: Path, folder: Path) -> None:
    run_ranks(together, tmp_path)
    for generation in range(3):
        wanted = images(expected(generation, folder))
        for rank in range(2):
            assert torch.equal(torch.load(tmp_path / f"{rank}_{generation}.pt", weights_only=True), wanted)
    assert torch.equal(torch.load(tmp_path / "alone.pt", weights_only=True), images(expected(1, folder)))


class Unpicklable(VAEGenerator):
    def __init__(self) -> None:
        super().__init__(toy_network(SHAPE), toy_spec(SHAPE))
        self.function = lambda: None


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"generator": Unpicklable()}, r"'toy' cannot be handed to another process: .* Use a bundle"),
        ({"plan": 0}, "has no items"),
        ({"plan": {0: 1}}, "plan is"),
        ({"seed": -1}, "seed -1"),
        ({"truncation": 0.0}, r"truncation is 0\.0"),
        ({"dtype": "float64"}, "float64"),
    ],
)
def test_bad_arguments_write_nothing(folder: Path, changes: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        made(folder, **changes)
    assert not list(folder.parent.iterdir())


@pytest.mark.parametrize("generation", [0, 4])
def test_folder_with_something_else_is_refused(folder: Path, generation: int) -> None:
    made(folder).switch_to(generation)
    for other in ({"seed": 1}, {"plan": 7}, {"truncation": 0.5}):
        before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
        with pytest.raises(ValueError, match="differ"):
            made(folder, **other)
        assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before
    plain = folder.with_name("plain")
    build_pool(toy_generator(SHAPE), 6, plain, progress=False)
    with pytest.raises(ValueError, match=r"plain holds .* which is no generation"):
        made(plain)
