# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import dataclasses
import json
import logging
import shutil
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest
import torch

from monai_genaug.generators import SamplePool, build_pool, load_generator, pool_building
from monai_genaug.generators.base import Samples
from monai_genaug.generators.pool_record import PoolRecord
from monai_genaug.generators.pool_writing import PartialPool
from tests.generators.pool_tools import SHAPE, Failing, Noting, are_missing, content, wait_for
from tests.toy import toy_generator, write_toy_bundle


@pytest.fixture
def pool(tmp_path: Path) -> SamplePool:
    return build_pool(toy_generator(SHAPE), 10, tmp_path / "pool", block_size=4, progress=False)


def test_seed_and_truncation_decide_the_items(tmp_path: Path, pool: SamplePool) -> None:
    generator = toy_generator(SHAPE)
    other = build_pool(generator, 10, tmp_path / "other", seed=1, progress=False)
    mean = build_pool(generator, 10, tmp_path / "mean", truncation=0.01, progress=False)
    assert not torch.equal(other[0]["image"], pool[0]["image"])
    spread = [torch.stack([p[i]["image"] for i in range(10)]).std(dim=0).mean() for p in (pool, mean)]
    assert spread[0] > 2 * spread[1]


def test_a_name_or_a_bundle_is_enough(tmp_path: Path) -> None:
    generator = load_generator(write_toy_bundle(tmp_path / "bundle", SHAPE))
    build_pool(generator, 3, tmp_path / "of_generator", progress=False)
    build_pool(tmp_path / "bundle", 3, tmp_path / "of_folder", progress=False)
    assert content(tmp_path / "of_folder") == content(tmp_path / "of_generator")
    with pytest.raises(ValueError, match="chest_xray_cgam"):
        build_pool("chest_xray_cgam", 3, tmp_path / "of_nothing", progress=False)


@pytest.mark.parametrize("done", [1, 2])
def test_build_that_was_killed_resumes_to_the_same_bytes(done: int, tmp_path: Path) -> None:
    build_pool(Failing(), 10, tmp_path / "undisturbed", block_size=4, progress=False)
    with pytest.raises(KeyboardInterrupt):
        build_pool(Failing(done + 1), 10, tmp_path / "pool", block_size=4, progress=False)
    assert not (tmp_path / "pool").exists()
    assert PartialPool(tmp_path / "pool.partial").missing == [0, 1, 2][done:]
    second = Failing()
    build_pool(second, 10, tmp_path / "pool", block_size=32, progress=False)
    assert second.blocks == 3 - done
    assert not (tmp_path / "pool.partial").exists()
    assert content(tmp_path / "pool") == content(tmp_path / "undisturbed")


def test_a_first_block_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        build_pool(Failing(1), 10, tmp_path / "pool", block_size=4, progress=False)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("state", ["no record", "no mark", "no name"])
def test_a_kill_outside_the_blocks_is_harmless_too(state: str, tmp_path: Path) -> None:
    """Between the first file and ``pool.json``, between the last block and the mark, between the mark and the name."""
    build_pool(Failing(), 10, tmp_path / "undisturbed", block_size=4, progress=False)
    partial = tmp_path / "pool.partial"
    shutil.copytree(tmp_path / "undisturbed", partial)
    if state == "no record":
        (partial / "pool.json").rename(partial / ".pool.json")
        (partial / "image.npy").write_bytes(b"\x93NUM")
    elif state == "no mark":
        record = PoolRecord.read(partial)
        (partial / "pool.json").write_text(dataclasses.replace(record, checksums="").to_json())
        (partial / ".pool.json").write_text("{")
    second = Failing()
    build_pool(second, 10, tmp_path / "pool", block_size=4, progress=False)
    assert second.blocks == (3 if state == "no record" else 0)
    assert content(tmp_path / "pool") == content(tmp_path / "undisturbed")
    assert not partial.exists()


class Reaction(logging.Handler):
    """Does something when a message comes."""

    def __init__(self, action: Callable[[], object]) -> None:
        super().__init__()
        self.action = action
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())
        self.action()


@pytest.mark.parametrize("killed", [False, True])
def test_processes_that_build_one_folder_take_turns(killed: bool, tmp_path: Path) -> None:
    """Two builders wait for the one that was first; where that one dies, one of them goes on with what is left."""
    arguments: dict[str, Any] = {"plan": 10, "folder": tmp_path / "pool", "block_size": 4, "progress": False}
    log, go = tmp_path / "blocks", tmp_path / "go"
    start = get_context("fork").Process
    process = start(target=build_pool, args=(Noting(log, go),), kwargs=arguments)
    process.start()
    wait_for(lambda: are_missing(tmp_path / "pool.partial", [2]))
    waiting = start(target=build_pool, args=(Noting(log),), kwargs=arguments)
    waiting.start()
    reaction = Reaction(process.kill if killed else go.touch)
    logging.getLogger(pool_building.__name__).addHandler(reaction)
    try:
        pool = build_pool(Noting(log), **arguments)
    finally:
        logging.getLogger(pool_building.__name__).removeHandler(reaction)
    process.join(60)
    waiting.join(60)
    assert (process.exitcode == 0) != killed
    assert waiting.exitcode == 0
    assert len(reaction.messages) == 1
    assert "waiting for another process" in reaction.messages[0]
    assert log.read_text() == "xxx"  # three blocks, each made once
    assert sorted(path.name for path in tmp_path.iterdir() if "pool" in path.name) == [".pool.lock", "pool"]
    build_pool(Failing(), **{**arguments, "folder": tmp_path / "undisturbed"})
    assert content(pool.folder) == content(tmp_path / "undisturbed")


@pytest.mark.parametrize("finished", [True, False])
@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"plan": 11}, "plan"),
        ({"seed": 1}, "seed"),
        ({"truncation": 0.5}, "truncation"),
        ({"dtype": "uint8"}, "dtype"),
        ({"generator": 1}, "generator"),
    ],
)
def test_folder_of_another_pool_is_refused(finished: bool, changes: dict[str, Any], field: str, tmp_path: Path) -> None:
    arguments: dict[str, Any] = {"generator": Failing(), "plan": 10, "seed": 0, "truncation": 1.0}
    if finished:
        build_pool(**arguments, folder=tmp_path / "pool", progress=False)
    else:
        with pytest.raises(KeyboardInterrupt):
            build_pool(**{**arguments, "generator": Failing(2)}, folder=tmp_path / "pool", block_size=4, progress=False)
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
        (None, {"dtype": "float64"}, r"dtype is 'float64', allowed: \('float32', 'float16', 'uint8'\)"),
    ],
)
def test_bad_arguments_write_nothing(classes: Any, arguments: dict[str, Any], text: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=text):
        build_pool(Failing(classes=classes), **{"plan": 3, "folder": tmp_path / "pool", **arguments})
    assert not list(tmp_path.iterdir())


class Spoiled(Failing):
    """The toy generator, one of whose outputs is changed."""

    def __init__(self, name: str, change: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.name, self.change = name, change

    def _generate(self, seeds: list[int], classes: list[int] | None, truncation: float) -> Samples:
        samples = super()._generate(seeds, classes, truncation)
        return {**samples, self.name: self.change(samples[self.name])}


@pytest.mark.parametrize(
    ("name", "change", "text"),
    [
        (
            "image",
            lambda x: x.double(),
            r"made 'image' as float64 \(3, 1, 8, 8\), its spec says float32 \(3, 1, 8, 8\)",
        ),
        ("mask", lambda x: x[..., :4], r"made 'mask' as uint8 \(3, 1, 8, 4\), its spec says uint8 \(3, 1, 8, 8\)"),
        ("image", lambda x: x * torch.nan, r"made 'image' from nan to nan, its spec says 0\.0 to 1\.0"),
        ("image", lambda x: x + 0.5 - x.min() + 0.6, r"made 'image' from 1\.1"),
        ("mask", lambda x: x + 1 + 2 - x.max(), r"made 'mask' from .* to 3\.0, its spec says 0\.0 to 2\.0"),
    ],
)
def test_generator_that_breaks_its_spec_is_refused(
    name: str, change: Callable[[torch.Tensor], torch.Tensor], text: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=text):
        build_pool(Spoiled(name, change), 3, tmp_path / "pool", progress=False)
    assert not list(tmp_path.iterdir())


def test_values_out_of_range_by_rounding_are_taken(tmp_path: Path) -> None:
    pool = build_pool(
        Spoiled("image", lambda x: x / x.max() + 1e-5), 3, tmp_path / "pool", dtype="uint8", progress=False
    )
    assert max(float(pool[i]["image"].max()) for i in range(3)) == 1


def test_pool_file_is_plain_json(tmp_path: Path) -> None:
    generator = toy_generator(SHAPE, classes=("a", "b", "c"))
    conditional = build_pool(generator, {"b": 5, 0: 3, "c": 0}, tmp_path / "conditional", progress=False)
    plain = json.loads((conditional.folder / "pool.json").read_text())
    assert plain["plan"] == [[1, 5], [0, 3]]
    assert plain["generator"]["name"] == "toy"
    assert plain["dtype"] == "float32"
    names = sorted(path.name for path in conditional.folder.iterdir())
    assert names == ["blocks.blake2b", "image.npy", "mask.npy", "pool.json"]


def test_progress_is_shown_on_demand(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    build_pool(Failing(), 4, tmp_path / "quiet", progress=False)
    assert capfd.readouterr().err == ""
    build_pool(Failing(), 4, tmp_path / "loud")
    assert "4/4" in capfd.readouterr().err


def test_progress_of_a_resumed_build_starts_with_what_is_there(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(KeyboardInterrupt):
        build_pool(Failing(2), 10, tmp_path / "pool", block_size=4, progress=False)
    build_pool(Failing(), 10, tmp_path / "pool")
    shown = capfd.readouterr().err
    assert "4/10" in shown
    assert "10/10" in shown
    assert " items/s" in shown
