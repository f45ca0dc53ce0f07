# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import logging
import pickle
import shutil
import time
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from monai_genaug.generators import (
    SampleGenerator,
    SamplePool,
    build_pool,
    derive_seed,
    pool_building,
)
from monai_genaug.generators.base import Samples
from monai_genaug.generators.pool_record import PoolRecord, resolve_plan
from tests.toy import toy_generator, toy_spec

SHAPE = (8, 8)


class Failing(SampleGenerator):
    """The toy generator, which breaks at its n-th block and counts the blocks it makes."""

    def __init__(self, fail_at: int | None = None, classes: Any = None, dtype: torch.dtype = torch.float32) -> None:
        self.inner = toy_generator(SHAPE, classes=classes)
        super().__init__(self.inner.spec)
        self.fail_at, self.dtype, self.blocks = fail_at, dtype, 0

    def _generate(self, seeds: list[int], classes: list[int] | None, truncation: float) -> Samples:
        self.blocks += 1
        if self.blocks == self.fail_at:
            raise KeyboardInterrupt
        samples = self.inner.sample(seeds, classes, truncation)
        return {**samples, "image": samples["image"].to(self.dtype)}


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.fixture
def pool(tmp_path: Path) -> SamplePool:
    return build_pool(toy_generator(SHAPE), 10, tmp_path / "pool", block_size=4, progress=False)


@pytest.fixture
def conditional(tmp_path: Path) -> SamplePool:
    generator = toy_generator(SHAPE, classes=("a", "b", "c"))
    return build_pool(generator, {"b": 5, 0: 3, "c": 0}, tmp_path / "conditional", progress=False)


def test_items_are_samples_of_derived_seeds(pool: SamplePool) -> None:
    expected = toy_generator(SHAPE).sample([derive_seed("pool", 0, i) for i in range(10)])
    assert len(pool) == 10
    for i in range(10):
        assert list(pool[i]) == ["image", "mask"]
        torch.testing.assert_close(pool[i]["image"], expected["image"][i], rtol=0, atol=1e-4)
        assert torch.equal(pool[i]["mask"], expected["mask"][i])
    assert torch.equal(pool[-1]["image"], pool[9]["image"])
    assert len(list(pool)) == 10  # type: ignore[call-overload]
    for index in (10, -11):
        with pytest.raises(IndexError, match="of a pool of 10"):
            pool[index]


def test_seed_and_truncation_decide_the_items(tmp_path: Path, pool: SamplePool) -> None:
    generator = toy_generator(SHAPE)
    other = build_pool(generator, 10, tmp_path / "other", seed=1, progress=False)
    mean = build_pool(generator, 10, tmp_path / "mean", truncation=0.01, progress=False)
    assert not torch.equal(other[0]["image"], pool[0]["image"])
    spread = [torch.stack([p[i]["image"] for i in range(10)]).std(dim=0).mean() for p in (pool, mean)]
    assert spread[0] > 2 * spread[1]


def test_classes_lie_in_the_order_of_the_plan(conditional: SamplePool) -> None:
    assert conditional.classes == [1] * 5 + [0] * 3
    assert conditional.spec.classes == {1: "b", 0: "a"}
    bands = [int(3 * conditional[i]["image"].mean()) for i in range(8)]
    assert bands == conditional.classes


def test_sample_returns_the_stored_item_of_the_seed(pool: SamplePool) -> None:
    seeds = [0, 1, 2**63 - 1]
    samples = pool.sample(seeds)
    for row, seed in enumerate(seeds):
        item = pool[derive_seed("pool item", seed) % 10]
        assert all(torch.equal(samples[name][row], item[name]) for name in item)
    # printf 'str:pool item\037int:0' | b2sum -l 64, halved, modulo 10; and so on
    assert [derive_seed("pool item", seed) % 10 for seed in seeds] == [0, 2, 6]


def test_sample_of_a_class_returns_its_items(conditional: SamplePool) -> None:
    seeds = list(range(40))
    for label, first, count in (("b", 0, 5), ("a", 5, 3)):
        samples = conditional.sample(seeds, label)["image"]
        expected = [conditional[first + derive_seed("pool item", seed) % count]["image"] for seed in seeds]
        assert torch.equal(samples, torch.stack(expected))
    with pytest.raises(ValueError, match=r"'c' is unknown .* allowed: 1 \('b'\), 0 \('a'\)"):
        conditional.sample([1], "c")


def test_views_share_memory_and_never_change_the_file(pool: SamplePool) -> None:
    before = content(pool.folder)
    one, other = pool[3]["image"], pool[3]["image"]
    assert one.data_ptr() == other.data_ptr()
    one.fill_(-1)
    drawn = pool.sample([1])["image"]
    drawn.fill_(-2)
    assert content(pool.folder) == before
    assert pool[4]["image"].min() >= 0
    assert SamplePool(pool.folder)[3]["image"].min() >= 0


def test_pool_says_what_it_is(pool: SamplePool) -> None:
    generator = toy_generator(SHAPE)
    assert pool.record.generator == generator.spec
    assert pool.spec.truncation is False
    assert pool.spec.encodes == ()
    assert pool.spec.name == "toy"
    assert pool.classes is None
    assert pool.spec.sha256 == pool.record.identity != generator.spec.sha256


def test_identity_includes_plan_seed_truncation_and_generator() -> None:
    spec = toy_spec(SHAPE)
    record = PoolRecord(spec, ((None, 3),), 0, 1.0, 32)
    others = [
        PoolRecord(spec, ((None, 4),), 0, 1.0, 32),
        PoolRecord(spec, ((None, 3),), 1, 1.0, 32),
        PoolRecord(spec, ((None, 3),), 0, 0.5, 32),
        PoolRecord(spec.replace(sha256="0"), ((None, 3),), 0, 1.0, 32),
        PoolRecord(spec, ((0, 1), (1, 2)), 0, 1.0, 32),
        PoolRecord(spec, ((1, 2), (0, 1)), 0, 1.0, 32),
    ]
    assert len({record.identity, *(other.identity for other in others)}) == 7
    assert PoolRecord(spec, ((None, 3),), 0, 1.0, 8, {"image": "00"}).identity == record.identity


@pytest.mark.parametrize("fail_at", [1, 2, 3])
def test_build_that_was_killed_resumes_to_the_same_bytes(fail_at: int, tmp_path: Path) -> None:
    build_pool(Failing(), 10, tmp_path / "undisturbed", block_size=4, progress=False)
    with pytest.raises(KeyboardInterrupt):
        build_pool(Failing(1 + fail_at), 10, tmp_path / "pool", block_size=4, progress=False)  # the first is a trial
    assert not (tmp_path / "pool").exists()
    assert (tmp_path / "pool.partial" / "blocks.done").read_bytes() == bytes([i + 1 < fail_at for i in range(3)])
    second = Failing()
    build_pool(second, 10, tmp_path / "pool", block_size=32, progress=False)
    assert second.blocks == 3 - (fail_at - 1)
    assert not (tmp_path / "pool.partial").exists()
    assert content(tmp_path / "pool") == content(tmp_path / "undisturbed")


@pytest.mark.parametrize("step", ["start", "checksums", "rename"])
def test_kill_outside_the_blocks_is_harmless_too(step: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build_pool(Failing(), 10, tmp_path / "undisturbed", block_size=4, progress=False)

    def killed(*arguments: Any, **options: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        if step == "start":
            patch.setattr(pool_building, "_write_record", killed)
        elif step == "checksums":
            patch.setattr(pool_building, "file_sha256", killed)
        else:
            patch.setattr(Path, "unlink", killed)
        with pytest.raises(KeyboardInterrupt):
            build_pool(Failing(), 10, tmp_path / "pool", block_size=4, progress=False)
    second = Failing()
    build_pool(second, 10, tmp_path / "pool", block_size=4, progress=False)
    assert second.blocks == (3 if step == "start" else 0)
    assert content(tmp_path / "pool") == content(tmp_path / "undisturbed")


class Noting(Failing):
    """Notes every call in a file; waits, before the third one, for another file."""

    def __init__(self, folder: Path, go: Path | None = None) -> None:
        super().__init__()
        self.log, self.go = folder / "blocks", go

    def _generate(self, seeds: list[int], classes: list[int] | None, truncation: float) -> Samples:
        if self.blocks == 2 and self.go is not None:
            wait_for(self.go.exists)
        with self.log.open("a") as file:
            file.write("x")
        return super()._generate(seeds, classes, truncation)


class Reaction(logging.Handler):
    """Does something when a message comes."""

    def __init__(self, action: Callable[[], object]) -> None:
        super().__init__()
        self.action = action
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())
        self.action()


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize("killed", [False, True])
def test_processes_that_build_one_folder_take_turns(killed: bool, tmp_path: Path) -> None:
    """A builder waits for the one that was first; where that one dies, it goes on with what is left."""
    arguments: dict[str, Any] = {"plan": 10, "folder": tmp_path / "pool", "block_size": 4, "progress": False}
    go = tmp_path / "go"
    process = get_context("fork").Process(target=build_pool, args=(Noting(tmp_path, go),), kwargs=arguments)
    process.start()
    wait_for(lambda: (tmp_path / "blocks").exists() and (tmp_path / "blocks").read_text() == "xx")
    reaction = Reaction(process.kill if killed else go.touch)
    logging.getLogger(pool_building.__name__).addHandler(reaction)
    try:
        pool = build_pool(Noting(tmp_path), **arguments)
    finally:
        logging.getLogger(pool_building.__name__).removeHandler(reaction)
    process.join(60)
    assert (process.exitcode == 0) != killed
    assert len(reaction.messages) == 1
    assert "waiting for another process" in reaction.messages[0]
    assert (tmp_path / "blocks").read_text() == "xxxx"  # a trial and three blocks
    assert not list(tmp_path.glob("pool.*"))
    build_pool(Failing(), **{**arguments, "folder": tmp_path / "undisturbed"})
    assert content(pool.folder) == content(tmp_path / "undisturbed")


def test_unfinished_pool_is_not_opened(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        build_pool(Failing(3), 10, tmp_path / "pool", block_size=4, progress=False)
    with pytest.raises(ValueError, match=r"no finished pool: run build_pool"):
        SamplePool(tmp_path / "pool.partial")
    with pytest.raises(ValueError, match=r"it has no pool\.json"):
        SamplePool(tmp_path / "pool")


@pytest.mark.parametrize("finished", [True, False])
@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"plan": 11}, "plan"),
        ({"seed": 1}, "seed"),
        ({"truncation": 0.5}, "truncation"),
        ({"generator": 1}, "generator"),
    ],
)
def test_folder_of_another_pool_is_refused(finished: bool, changes: dict[str, Any], field: str, tmp_path: Path) -> None:
    arguments: dict[str, Any] = {"generator": Failing(), "plan": 10, "seed": 0, "truncation": 1.0}
    if finished:
        build_pool(**arguments, folder=tmp_path / "pool", progress=False)
    else:
        with pytest.raises(KeyboardInterrupt):
            build_pool(**{**arguments, "generator": Failing(2)}, folder=tmp_path / "pool", progress=False)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    if "generator" in changes:
        other = toy_generator(SHAPE)
        other._spec = other.spec.replace(sha256="0" * 64)  # type: ignore[attr-defined]
        changes = {"generator": other}
    with pytest.raises(ValueError, match=rf"holds another pool: \['{field}'\] differ"):
        build_pool(**{**arguments, **changes}, folder=tmp_path / "pool", progress=False)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_finished_pool_is_opened_again(tmp_path: Path) -> None:
    build_pool(Failing(), 10, tmp_path / "pool", progress=False)
    second = Failing()
    assert len(build_pool(second, 10, tmp_path / "pool", block_size=3, progress=False)) == 10
    assert second.blocks == 0


def test_empty_folder_is_used_and_a_foreign_one_is_not(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert len(build_pool(Failing(), 2, tmp_path / "empty", progress=False)) == 2
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "notes.txt").write_text("mine")
    with pytest.raises(ValueError, match=r"no finished pool"):
        build_pool(Failing(), 2, tmp_path / "foreign", progress=False)
    assert content(tmp_path / "foreign") == {"notes.txt": b"mine"}


@pytest.mark.parametrize(
    ("classes", "arguments", "text"),
    [
        (None, {"plan": 0}, "has no items"),
        (None, {"plan": -1}, "-1 is no number of items"),
        (None, {"plan": 2.5}, "2.5 is no number of items"),
        (None, {"plan": True}, "True is no number of items"),
        (None, {"plan": {0: 1}}, "needs one number of items"),
        (("a", "b"), {"plan": 3}, r"needs \{class: number\} with classes \{0: 'a', 1: 'b'\}"),
        (("a", "b"), {"plan": {"c": 3}}, r"'c' is unknown"),
        (("a", "b"), {"plan": {"a": 3, 0: 2}}, "names a class twice"),
        (("a", "b"), {"plan": {"a": 0}}, "has no items"),
        (("a", "b"), {"plan": {}}, "has no items"),
        (None, {"seed": -1}, "seed -1"),
        (None, {"truncation": 0.0}, "truncation is 0.0"),
        (None, {"block_size": 0}, "block_size is 0"),
    ],
)
def test_bad_arguments_write_nothing(classes: Any, arguments: dict[str, Any], text: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=text):
        build_pool(Failing(classes=classes), **{"plan": 3, "folder": tmp_path / "pool", **arguments})
    assert not list(tmp_path.iterdir())


def test_plan_may_come_from_numpy() -> None:
    assert resolve_plan(np.int64(3), toy_spec()) == ((None, 3),)  # type: ignore[arg-type]
    spec = toy_spec(classes={0: "a", 1: "b"})
    assert resolve_plan({np.int64(1): np.int64(2)}, spec) == ((1, 2),)  # type: ignore[dict-item]


def test_generator_that_breaks_its_spec_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"made 'image' as float64 .* its spec says float32"):
        build_pool(Failing(dtype=torch.float64), 3, tmp_path / "pool", progress=False)
    assert not list(tmp_path.iterdir())


def test_damaged_pools_are_noticed(pool: SamplePool, tmp_path: Path) -> None:
    pool.verify()
    damaged = tmp_path / "damaged"
    shutil.copytree(pool.folder, damaged)
    data = bytearray((damaged / "image.npy").read_bytes())
    data[-1] ^= 1
    (damaged / "image.npy").write_bytes(data)
    with pytest.raises(ValueError, match=r"image\.npy: sha256 is"):
        SamplePool(damaged).verify()
    (damaged / "image.npy").write_bytes(data[:-100])
    with pytest.raises(ValueError, match=r"image\.npy is missing or damaged"):
        SamplePool(damaged)
    np.save(damaged / "image.npy", np.zeros((10, 1, 8, 9), dtype=np.float32))
    with pytest.raises(ValueError, match=r"image\.npy holds float32 \(10, 1, 8, 9\), expected float32 \(10, 1, 8, 8\)"):
        SamplePool(damaged)
    (damaged / "image.npy").unlink()
    with pytest.raises(ValueError, match=r"image\.npy is missing"):
        SamplePool(damaged)


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"format": "monai_genaug.pool/1"}', '{"format": "other"}'])
def test_bad_pool_file_is_refused(text: str, pool: SamplePool) -> None:
    (pool.folder / "pool.json").write_text(text)
    with pytest.raises(ValueError, match=r"pool\.json: "):
        SamplePool(pool.folder)


def test_unpickling_notices_another_pool(pool: SamplePool, tmp_path: Path) -> None:
    data = pickle.dumps(pool)
    build_pool(toy_generator(SHAPE), 3, tmp_path / "other", progress=False)
    shutil.rmtree(pool.folder)
    shutil.move(tmp_path / "other", pool.folder)
    with pytest.raises(ValueError, match="holds another pool"):
        pickle.loads(data)


def test_pool_file_is_plain_json(conditional: SamplePool) -> None:
    plain = json.loads((conditional.folder / "pool.json").read_text())
    assert plain["plan"] == [[1, 5], [0, 3]]
    assert plain["generator"]["name"] == "toy"
    assert set(plain["checksums"]) == {"image", "mask"}
    assert sorted(path.name for path in conditional.folder.iterdir()) == ["image.npy", "mask.npy", "pool.json"]


def test_progress_is_shown_on_demand(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    build_pool(Failing(), 4, tmp_path / "quiet", progress=False)
    assert capfd.readouterr().err == ""
    build_pool(Failing(), 4, tmp_path / "loud")
    assert "4/4" in capfd.readouterr().err
