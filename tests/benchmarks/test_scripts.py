# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Every script at its smallest size, in this process where it would start another one."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks import __main__ as runner
from benchmarks import (
    contract_cost,
    freed_memory,
    gpu,
    imports,
    large_pool,
    loader_throughput,
    metrics,
    pool_build,
    second_derivatives,
)
from benchmarks.timing import Row
from tests.toy import toy_generator, write_toy_bundle


def _here(function: Callable[..., Any], *arguments: object) -> Any:
    return function(*arguments)


def _what(rows: list[Row]) -> list[str]:
    assert all(row.value is not None and row.value > 0 for row in rows)
    return [row.what for row in rows]


def test_contract_cost(tmp_path: Path) -> None:
    bundle = write_toy_bundle(tmp_path / "toy", (8, 8, 8))
    rows = contract_cost.rows(True, [str(bundle), "chest_xray_cgan"])
    what = _what(rows)
    assert what[1] == "toy, 8 x 8 x 8: sample"
    assert len(what) == 10
    assert [row.at_least for row in rows if row.what.endswith(("sample", "built and read"))] == [0.9] * 4


def test_loader_throughput(tmp_path: Path) -> None:
    rows = loader_throughput.rows(True, {str(write_toy_bundle(tmp_path / "toy", (8, 8, 8))): 2})
    assert _what(rows) == [
        f"toy, {source}, {workers} workers" for workers in (0, 2) for source in ("8 samples at once", "pool")
    ]


def test_pool_build_of_growing_pools() -> None:
    rows = pool_build.growing((1, 40), apart=_here)
    assert _what(rows) == [f"28 x 28, {n} samples, {what}" for what in ("time", "peak memory") for n in (1, 40)]
    assert rows[1].other_value == rows[0].value


def test_pool_build_of_two_ranks(tmp_path: Path) -> None:
    bundle = str(write_toy_bundle(tmp_path / "toy", (8, 8, 8)))
    assert pool_build.ranks_seconds(bundle, 2, 4, start_method="fork") > 0


def test_a_rank_that_fails_is_named(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=r"exit codes of the ranks: \[1\]"):
        pool_build.ranks_seconds(str(tmp_path / "nothing"), 1, 4, start_method="fork")


def test_large_pool() -> None:
    what = _what(large_pool.rows(quick=True, apart=_here))
    assert what[0] == f"building, {large_pool.BLOCK_SIZE + 1:,} samples"
    assert ("reading random items, cold" in what) == hasattr(os, "posix_fadvise")


def test_noise_of_the_large_pool_is_splitmix64() -> None:
    images = large_pool.HashedNoise().sample([0, 5])["image"]
    # first output of the generator with state 0 (Steele et al. 2014; java.util.SplittableRandom)
    first = np.frombuffer(np.uint64(0xE220A8397B1DCDAF).tobytes(), np.uint8)
    assert (images[0].flatten()[:8] * 255).round().tolist() == first.tolist()
    assert torch.equal(images[1:], large_pool.HashedNoise().sample([5])["image"])


def test_imports() -> None:
    (row,) = imports.rows(quick=True, ours="json", theirs="csv")
    assert (row.what, row.other, row.at_most) == ("import json", "import csv", 1.10)
    assert row.ratio is not None


def test_metrics() -> None:
    rows = metrics.rows(quick=True)
    assert {"frechet", "precision and density", "vendi", "kernel", "realism"} <= set(_what(rows))
    assert (rows[0].other, rows[0].at_least) == ("MONAI's FIDMetric", 500)


def test_freed_memory() -> None:
    rows = freed_memory.rows(quick=True, apart=_here)
    assert _what(rows) == [*freed_memory.COUNTS, *(f"{name}: training" for name in freed_memory.STEPS)]
    assert all(" pages, then " in row.note for row in rows)


def test_second_derivatives() -> None:
    assert _what(second_derivatives.rows(quick=True)) == list(second_derivatives.CASES)


def test_the_page_lists_all_benchmarks() -> None:
    page = (runner.FOLDER.parent / "docs" / "results" / "benchmarks.md").read_text()
    assert re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE) == runner.names()


def test_gpu_or_none() -> None:
    assert torch.cuda.is_available() or [row.what for row in gpu.rows(quick=True)] == ["no GPU"]


@pytest.mark.parametrize("name", ["chest_xray_cvae", "skin_lesion_dcgan"])
def test_gpu_rows_on_the_cpu(name: str) -> None:
    assert _what([gpu.sampling(name, "cpu", quick=True)]) == [f"{name}: sample"]
    row = gpu.training(name, "cpu", quick=True)
    assert (row.what, row.unit, row.note) == (f"{name}: training", "s per step", "batches of 2")


def test_prepare_batch_on_the_cpu() -> None:
    row = gpu.prepare_batch(toy_generator((32, 32, 32)), quick=True)
    assert row.note.endswith("of the step is the replacement")
