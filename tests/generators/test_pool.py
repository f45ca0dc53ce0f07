# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import dataclasses
import json
import pickle
import shutil
import time
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from monai_genaug.generators import GeneratorSpec, OutputSpec, SamplePool, build_pool, derive_seed
from monai_genaug.generators.pool_record import PoolRecord
from monai_genaug.generators.pool_storage import StorageType
from monai_genaug.generators.pool_writing import PartialPool
from tests.generators.pool_tools import SHAPE, content
from tests.toy import toy_generator


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


@pytest.mark.parametrize(("dtype", "error"), [("float16", 2**-11), ("uint8", 1 / 510)])
def test_images_of_another_type_are_read_as_float32(dtype: StorageType, error: float, tmp_path: Path) -> None:
    arguments: dict[str, Any] = {"plan": 10, "block_size": 4, "progress": False}
    exact = build_pool(toy_generator(SHAPE), folder=tmp_path / "exact", **arguments)
    small = build_pool(toy_generator(SHAPE), folder=tmp_path / "small", dtype=dtype, **arguments)
    assert np.load(small.folder / "image.npy").dtype == dtype
    seeds = [0, 1, 2**63 - 1]
    drawn = small.sample(seeds)
    for row, seed in enumerate(seeds):
        item = small[derive_seed("pool item", seed) % 10]
        assert all(torch.equal(drawn[name][row], item[name]) for name in item)
    for i in range(10):
        assert small[i]["image"].dtype == torch.float32
        assert small[i]["image"].shape == (1, *SHAPE)
        assert 0 < (small[i]["image"] - exact[i]["image"]).abs().max() <= error + 1e-6
        assert torch.equal(small[i]["mask"], exact[i]["mask"])
    assert small[3]["mask"].data_ptr() == small[3]["mask"].data_ptr()
    small.verify()
    assert small.record.dtype == dtype
    assert small.spec.sha256 != exact.spec.sha256
    assert pickle.loads(pickle.dumps(small)).record == small.record


def test_a_pool_without_a_dtype_is_float32(pool: SamplePool) -> None:
    path = pool.folder / "pool.json"
    plain = json.loads(path.read_text())
    del plain["dtype"]
    path.write_text(json.dumps(plain))
    opened = SamplePool(pool.folder)
    assert opened.record == pool.record
    assert torch.equal(opened[3]["image"], pool[3]["image"])


def test_files_that_do_not_fit_are_named(pool: SamplePool, tmp_path: Path) -> None:
    path = pool.folder / "image.npy"
    data = path.read_bytes()
    path.write_bytes(data[:-100])
    with pytest.raises(ValueError, match=r"image\.npy is damaged: it has \d+ bytes, expected \d+"):
        SamplePool(pool.folder)
    np.save(path, np.zeros((10, 1, 8, 9), dtype=np.float32))
    with pytest.raises(ValueError, match=r"image\.npy holds float32 \(10, 1, 8, 9\), expected float32 \(10, 1, 8, 8\)"):
        SamplePool(pool.folder)
    path.unlink()
    with pytest.raises(ValueError, match=r"image\.npy is missing"):
        SamplePool(pool.folder)
    with pytest.raises(ValueError, match=r"it has no pool\.json"):
        SamplePool(tmp_path / "nowhere")


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


def test_a_million_items_open_at_once(tmp_path: Path) -> None:
    """Neither memory nor time are those of a list of the items: the files are sparse, only their sizes are real."""
    spec = GeneratorSpec(
        "million", {"image": OutputSpec("image", 1, (0.0, 1.0), "float32")}, (28, 28), classes={0: "a", 7: "b"}
    )
    record = PoolRecord(spec, ((7, 400_000), (0, 600_000)), 0, 1.0, 32, "uint8")
    partial = PartialPool.start(record, tmp_path / "partial")
    block = np.full((32, 1, 28, 28), 51, dtype=np.uint8)
    partial.write(record.n_blocks - 1, {"image": block})
    finished = dataclasses.replace(record, checksums="00")
    (partial.folder / "pool.json").write_text(finished.to_json())
    SamplePool(partial.folder)
    tracemalloc.start()
    start = time.perf_counter()
    pool = SamplePool(partial.folder)
    seconds, peak = time.perf_counter() - start, tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert seconds < 0.5
    assert peak < 1 << 20
    assert len(pool) == 1_000_000
    assert pool.classes is not None
    assert (pool.classes[399_999], pool.classes[400_000]) == (7, 0)
    assert (pool[-1]["image"] == 0.2).all()
    assert (pool[0]["image"] == 0).all()
    assert pool.sample(range(100), "a")["image"].shape == (100, 1, 28, 28)
