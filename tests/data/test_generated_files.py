# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Samples in one call, and from one kind of folder to another."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from filelock import FileLock
from monai.data import load_decathlon_datalist

from monai_genaug.data import export_pool, generated_files
from monai_genaug.data.generated_files import convert_samples, write_samples
from monai_genaug.generators import SamplePool, build_pool
from tests.toy import ToyConditionalGenerator, toy_generator

SHAPE = (16, 16)


def folder_bytes(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def names(folder: Path) -> set[str]:
    """What is in a folder, lock files left out."""
    return {path.name for path in folder.iterdir() if path.suffix != ".lock"}


def test_a_pool_is_that_of_build_pool(tmp_path: Path) -> None:
    generator = toy_generator(SHAPE, mask=False, classes=["a", "b"])
    record = write_samples(generator, {"a": 3, "b": 2}, tmp_path / "pool", seed=4, truncation=0.5, progress=False)
    build_pool(generator, {"a": 3, "b": 2}, tmp_path / "other", 4, 0.5, progress=False)
    assert folder_bytes(tmp_path / "pool") == folder_bytes(tmp_path / "other")
    assert (record.count, record.seed, record.truncation) == (5, 4, 0.5)
    assert names(tmp_path) == {"pool", "other"}


@pytest.mark.parametrize("file_format", ["nifti", "png", "npz"])
def test_files_are_those_of_export_pool(tmp_path: Path, file_format: Any) -> None:
    generator = toy_generator(SHAPE)
    write_samples(generator, 3, tmp_path / "files", file_format, progress=False)
    dtype: Any = "uint8" if file_format == "png" else "float32"
    pool = build_pool(generator, 3, tmp_path / "pool", dtype=dtype, progress=False)
    export_pool(pool, tmp_path / "expected", file_format, progress=False)
    assert folder_bytes(tmp_path / "files") == folder_bytes(tmp_path / "expected")
    assert len(load_decathlon_datalist(tmp_path / "files" / "datalist.json")) == 3
    assert names(tmp_path) == {"files", "pool", "expected"}


@pytest.mark.parametrize("file_format", ["nifti", "png", "npz"])
def test_pools_become_files_and_files_pools(tmp_path: Path, file_format: Any) -> None:
    pool = build_pool(toy_generator(SHAPE), 3, tmp_path / "pool", dtype="uint8", progress=False)
    convert_samples(tmp_path / "pool", tmp_path / "files", file_format, progress=False)
    record = convert_samples(tmp_path / "files", tmp_path / "again", "pool", progress=False)
    assert record.identity == pool.record.identity
    assert folder_bytes(tmp_path / "again") == folder_bytes(tmp_path / "pool")
    other: Any = "npz" if file_format != "npz" else "png"
    convert_samples(tmp_path / "files" / "datalist.json", tmp_path / "others", other, progress=False)
    export_pool(pool, tmp_path / "expected", other, progress=False)
    assert folder_bytes(tmp_path / "others") == folder_bytes(tmp_path / "expected")


class Stopped(KeyboardInterrupt):
    """What Ctrl-C raises."""


def stop_after(calls: int, function: Callable[..., Any]) -> Callable[..., Any]:
    made = []

    def wrapped(*arguments: Any, **more: Any) -> Any:
        if len(made) == calls:
            raise Stopped
        made.append(None)
        return function(*arguments, **more)

    return wrapped


def test_what_was_stopped_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    generator = toy_generator(SHAPE, mask=False)
    arguments: Any = (generator, 2100, tmp_path / "files", "npz")
    with monkeypatch.context() as patch:
        patch.setattr(type(generator), "_generate", stop_after(40, type(generator)._generate))
        with pytest.raises(Stopped):
            write_samples(*arguments, progress=False)
    assert names(tmp_path) == {"files.unfinished"}
    assert names(tmp_path / "files.unfinished") == {"files.pool.partial"}
    with pytest.raises(ValueError, match=r"holds another pool: \['seed'\] differ"):
        write_samples(*arguments, seed=1, progress=False)
    made = []
    original = type(generator)._generate
    monkeypatch.setattr(type(generator), "_generate", lambda *a: made.append(len(a[1])) or original(*a))
    with monkeypatch.context() as patch:
        patch.setattr(generated_files, "export_pool", stop_after(0, export_pool))
        with pytest.raises(Stopped):
            write_samples(*arguments, progress=False)
    assert 0 < sum(made) < 2100
    before = sum(made)
    write_samples(*arguments, progress=False)
    assert sum(made) == before  # the pool was finished
    assert names(tmp_path) == {"files"}
    assert len(load_decathlon_datalist(tmp_path / "files" / "datalist.json")) == 2100


def test_only_samples_are_replaced_and_only_when_asked(tmp_path: Path) -> None:
    generator = toy_generator(SHAPE, mask=False)
    write_samples(generator, 2, tmp_path / "pool", progress=False)
    before = folder_bytes(tmp_path / "pool")
    with pytest.raises(FileExistsError, match="exists already: choose another folder"):
        write_samples(generator, 3, tmp_path / "pool", progress=False)
    with pytest.raises(ValueError, match="truncation is 2"):
        write_samples(generator, 3, tmp_path / "pool", truncation=2.0, overwrite=True, progress=False)
    assert folder_bytes(tmp_path / "pool") == before
    write_samples(generator, 3, tmp_path / "pool", "npz", overwrite=True, progress=False)
    assert (tmp_path / "pool" / "datalist.json").is_file()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="holds no samples"):
        write_samples(generator, 3, tmp_path / "mine", overwrite=True, progress=False)
    assert names(tmp_path / "mine") == {"thesis.txt"}
    assert names(tmp_path) == {"pool", "mine"}


def test_the_old_samples_stay_until_the_new_ones_are_complete(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    generator = toy_generator(SHAPE, mask=False)
    write_samples(generator, 2, tmp_path / "pool", progress=False)
    before = folder_bytes(tmp_path / "pool")
    for seed in (1, 2):  # the second drops what the first has begun
        with monkeypatch.context() as patch:
            patch.setattr(type(generator), "_generate", stop_after(2, type(generator)._generate))
            with pytest.raises(Stopped):
                write_samples(generator, 2100, tmp_path / "pool", seed=seed, overwrite=True, progress=False)
        assert folder_bytes(tmp_path / "pool") == before
    write_samples(generator, 2100, tmp_path / "pool", seed=2, overwrite=True, progress=False)
    assert (len(SamplePool(tmp_path / "pool")), names(tmp_path)) == (2100, {"pool"})


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    (tmp_path / "pool").mkdir()
    write_samples(toy_generator(SHAPE), 1, tmp_path / "pool", progress=False)
    assert len(SamplePool(tmp_path / "pool")) == 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"plan": {"a": 1}}, "generator 'toy' needs one number"),
        ({"file_format": "dicom"}, "file_format is 'dicom', allowed: pool, nifti, png, npz"),
        ({"seed": -1}, "seed -1"),
        ({"dtype": "int8"}, "dtype is 'int8'"),
        ({"folder": "nowhere/pool"}, "nowhere is not a folder"),
    ],
)
def test_wrong_arguments_write_nothing(tmp_path: Path, change: dict[str, Any], words: str) -> None:
    arguments: dict[str, Any] = {"plan": 1, "file_format": "pool", "folder": "pool", **change}
    folder = tmp_path / arguments.pop("folder")
    with pytest.raises((ValueError, OSError), match=words):
        write_samples(toy_generator(SHAPE), folder=folder, progress=False, **arguments)
    assert not list(tmp_path.iterdir())


def test_formats_that_cannot_hold_the_items_write_nothing(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="png files cannot hold"):
        write_samples(toy_generator((16, 16, 16)), 1, tmp_path / "files", "png", progress=False)
    assert not list(tmp_path.iterdir())


def test_sources_that_cannot_be_converted_are_named(tmp_path: Path) -> None:
    build_pool(toy_generator(SHAPE), 2, tmp_path / "pool", progress=False)
    (tmp_path / "other").mkdir()
    before = names(tmp_path)
    for source, target, kind, words in (
        ("pool", "new", "pool", "is a pool already"),
        ("pool", "pool", "npz", "is the source"),
        ("other", "new", "npz", "is neither a finished pool"),
        ("pool", "new", "zip", "file_format is 'zip'"),
    ):
        file_format: Any = kind
        with pytest.raises(ValueError, match=words):
            convert_samples(tmp_path / source, tmp_path / target, file_format, overwrite=True, progress=False)
    assert names(tmp_path) == before


def test_one_process_at_a_time(tmp_path: Path) -> None:
    with FileLock(tmp_path / ".pool.lock"), pytest.raises(BlockingIOError, match="another process is writing"):
        write_samples(toy_generator(SHAPE), 1, tmp_path / "pool", progress=False)
    assert not (tmp_path / "pool").exists()


def test_damaged_files_leave_nothing_behind(tmp_path: Path) -> None:
    write_samples(toy_generator(SHAPE), 2, tmp_path / "files", "npz", progress=False)
    (item,) = list((tmp_path / "files" / "itemsTr").glob("*_000001.npz"))
    np.savez(item, image=torch.zeros(1).numpy())
    with pytest.raises(ValueError, match="damaged or were changed"):
        convert_samples(tmp_path / "files", tmp_path / "pool", "pool", progress=False)
    assert names(tmp_path) == {"files"}


def test_conditional_generators_are_distinguished(tmp_path: Path) -> None:
    generator = toy_generator(SHAPE, mask=False, classes=["a", "b"])
    assert isinstance(generator, ToyConditionalGenerator)
    write_samples(generator, {"b": 2}, tmp_path / "files", "png", progress=False)
    assert [item["label"] for item in load_decathlon_datalist(tmp_path / "files" / "datalist.json")] == [1, 1]
