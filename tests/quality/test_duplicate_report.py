# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json

import pytest

from monai_genaug.quality.duplicate_report import DuplicatePair, DuplicateReport

PAIRS = (
    DuplicatePair("exact", ("train", 1), ("test", 0)),
    DuplicatePair("near", ("test", 0), ("val", 2), 0.05, "mirrored"),
    DuplicatePair("near", ("train", 4), ("train", 9), 0.07),
)
REPORT = DuplicateReport({"train": 10, "val": 3, "test": 1}, PAIRS, 0.1, 0.1, {0.0: 0.05})


def test_groups_connect_items_through_others() -> None:
    assert REPORT.groups() == ((("train", 1), ("val", 2), ("test", 0)), (("train", 4), ("train", 9)))


def test_redundant_leaves_one_of_every_group() -> None:
    assert REPORT.redundant() == {"train": [9], "val": [2], "test": [0]}
    assert REPORT.redundant(["test", "val", "train"]) == {"train": [1, 9], "val": [2], "test": []}


def test_between_takes_splits_in_any_order_and_kinds() -> None:
    assert REPORT.between("test", "train") == REPORT.between("train", "test") == PAIRS[:1]
    assert REPORT.between("train", "train", "near") == PAIRS[2:]
    assert REPORT.between("train", "test", "near") == ()
    with pytest.raises(ValueError, match="kind is 'far', allowed"):
        REPORT.between("train", "test", "far")  # type: ignore[arg-type]


def test_nothing_found() -> None:
    empty = DuplicateReport({"all": 5}, (), 0.1, 0.1, {})
    assert (empty.groups(), empty.redundant()) == ((), {"all": []})
    assert empty.table().splitlines()[-1] == "| within all | 0 | 0 | 0 |"


def test_round_trip_through_json() -> None:
    plain = REPORT.to_dict()
    assert json.loads(json.dumps(plain)) == plain
    assert plain["pairs"][1] == {
        "kind": "near", "first": ["test", 0], "second": ["val", 2], "distance": 0.05, "view": "mirrored"
    }  # fmt: skip
