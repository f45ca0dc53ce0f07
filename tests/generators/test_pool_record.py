# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from monai_genaug.generators.pool_record import PoolRecord, resolve_plan
from tests.toy import toy_spec

SHAPE = (8, 8)


def record(**changes: Any) -> PoolRecord:
    arguments = {"generator": toy_spec(SHAPE), "plan": ((None, 10),), "seed": 0, "truncation": 1.0, "block_size": 4}
    return PoolRecord(**{**arguments, **changes})


def test_identity_is_what_decides_the_items() -> None:
    others = [
        record(plan=((None, 11),)),
        record(seed=1),
        record(truncation=0.5),
        record(generator=toy_spec(SHAPE, sha256="0")),
        record(plan=((0, 1), (1, 2))),
        record(plan=((1, 2), (0, 1))),
        record(dtype="uint8"),
        record(dtype="float16"),
    ]
    assert len({record().identity, *(other.identity for other in others)}) == 9
    assert record(block_size=8, checksums="00").identity == record().identity
    assert record().differences(record(block_size=8)) == []
    assert record().differences(record(dtype="uint8", seed=3)) == ["seed", "dtype"]


def test_round_trip(tmp_path: Path) -> None:
    written = record(plan=((1, 2), (0, 1)), dtype="float16", checksums="ab")
    (tmp_path / "pool.json").write_text(written.to_json())
    assert PoolRecord.read(tmp_path) == written


def test_a_record_without_dtype_is_float32(tmp_path: Path) -> None:
    plain = json.loads(record().to_json())
    del plain["dtype"]
    (tmp_path / "pool.json").write_text(json.dumps(plain))
    assert PoolRecord.read(tmp_path) == record()


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"format": "other"}, "format is not"),
        ({"generator": {}}, "name"),
        ({"dtype": "int8"}, "dtype is 'int8'"),
        ({"checksums": {"image": "00"}}, r"checksums is \{'image': '00'\}, expected a hash"),
        ({"colour": 1}, "colour"),
        ({"plan": 3}, "plan|iterable"),
    ],
)
def test_another_file_is_refused(changes: dict[str, Any], text: str, tmp_path: Path) -> None:
    (tmp_path / "pool.json").write_text(json.dumps({**json.loads(record().to_json()), **changes}))
    with pytest.raises(ValueError, match=rf"pool\.json: .*({text})"):
        PoolRecord.read(tmp_path)


def test_blocks_and_files() -> None:
    one = record(dtype="uint8")
    assert [one.block_items(block) for block in range(one.n_blocks)] == [range(4), range(4, 8), range(8, 10)]
    assert record(block_size=5).n_blocks == 2
    assert one.outputs == ("image", "mask")
    assert one.shape("mask") == (10, 1, 8, 8)
    assert [one.stored_dtype(name) for name in one.outputs] == [np.uint8, np.uint8]
    assert [record().item_bytes(name) for name in one.outputs] == [256, 64]
    assert one.classes is None
    assert record(plan=((1, 2), (0, 1))).classes == [1, 1, 0]


def test_plan_may_come_from_numpy() -> None:
    assert resolve_plan(np.int64(3), toy_spec()) == ((None, 3),)  # type: ignore[arg-type]
    spec = toy_spec(classes={0: "a", 1: "b"})
    assert resolve_plan({np.int64(1): np.int64(2)}, spec) == ((1, 2),)  # type: ignore[dict-item]
