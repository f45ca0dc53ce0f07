# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest

from monai_genaug.transforms import assign_ids


def test_ids_are_relative_to_the_root(tmp_path: Path) -> None:
    datalist = [
        {"image": str(tmp_path / "a" / "x.nii"), "label": 1},
        {"image": tmp_path / "b" / "x.nii"},
        {"image": "c/x.nii"},
        {"image": [str(tmp_path / "t1.nii"), str(tmp_path / "t2.nii")]},
        {"image": str(tmp_path / "b" / ".." / "d.nii")},
    ]
    ids = [item["id"] for item in assign_ids(datalist, tmp_path)]
    assert ids == ["a/x.nii", "b/x.nii", "c/x.nii", "t1.nii|t2.nii", "d.nii"]
    assert "id" not in datalist[0]


def test_equal_wherever_the_root_is_and_however_it_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    absolute = assign_ids([{"image": str(tmp_path / "data" / "x.nii")}], tmp_path / "data")
    relative = assign_ids([{"image": "data/x.nii"}], "data")
    assert absolute[0]["id"] == relative[0]["id"] == "x.nii"


def test_assigning_twice_changes_nothing(tmp_path: Path) -> None:
    once = assign_ids([{"image": "x.nii"}], tmp_path)
    assert assign_ids(once, tmp_path) == once


def test_bad_lists(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"(?s)items 0 and 1.*a.nii"):
        assign_ids([{"image": "a.nii"}, {"image": tmp_path / "a.nii"}], tmp_path)
    with pytest.raises(ValueError, match="outside root"):
        assign_ids([{"image": "/elsewhere/a.nii"}], tmp_path)
    with pytest.raises(KeyError, match="image"):
        assign_ids([{"img": "a.nii"}], tmp_path)
    with pytest.raises(ValueError, match="already"):
        assign_ids([{"image": "a.nii", "id": 4}], tmp_path)
