# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from monai_genaug.experiments.stages import stage_key, stored_json, stored_tensors


def refuse() -> Any:
    raise AssertionError("made again")


def test_a_value_is_made_once(tmp_path: Path) -> None:
    path = tmp_path / "new" / "value.json"
    assert stored_json(path, lambda: {"a": [1, 2.5, None]}) == {"a": [1, 2.5, None]}
    assert stored_json(path, refuse) == {"a": [1, 2.5, None]}


def test_tensors_are_made_once(tmp_path: Path) -> None:
    path = tmp_path / "new" / "value.pt"
    values = {"images": torch.arange(6, dtype=torch.uint8).view(2, 3), "labels": torch.tensor([3, 4])}
    for found in (stored_tensors(path, lambda: values), stored_tensors(path, refuse)):
        assert found.keys() == values.keys()
        assert all(
            torch.equal(found[name], values[name]) and found[name].dtype == values[name].dtype for name in values
        )


def test_a_stage_that_fails_leaves_no_file(tmp_path: Path) -> None:
    for store in (stored_json, stored_tensors):
        with pytest.raises(AssertionError, match="made again"):
            store(tmp_path / "value", refuse)
    assert list(tmp_path.iterdir()) == []


def test_keys_tell_values_apart() -> None:
    same = {stage_key({"a": 1, "b": 2}, None), stage_key({"b": 2, "a": 1}, None)}
    others = {stage_key({"a": 1, "b": 2}, 0), stage_key({"a": 1}, {"b": 2}, None), stage_key({"a": "1", "b": 2}, None)}
    assert len(same) == 1
    assert len(same | others) == 4
