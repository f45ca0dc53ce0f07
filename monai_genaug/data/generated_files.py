# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""From a generator to a folder of samples in one call, and from one kind of folder to another."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, get_args

from monai_genaug.data.pool_file_formats import PoolFileFormat, _check_format
from monai_genaug.data.pool_files import export_pool, import_pool
from monai_genaug.data.unfinished_folder import _unfinished_folder
from monai_genaug.generators.base import SampleGenerator, checked_seeds
from monai_genaug.generators.class_labels import ClassLabel
from monai_genaug.generators.pool import SamplePool
from monai_genaug.generators.pool_building import build_pool
from monai_genaug.generators.pool_record import POOL_FILE, PoolRecord, resolve_plan
from monai_genaug.generators.pool_storage import StorageType

__all__ = ["SampleFormat", "convert_samples", "write_samples"]

SampleFormat = Literal["pool", "nifti", "png", "npz"]

_LIST = "datalist.json"


def write_samples(
    generator: SampleGenerator,
    plan: int | Mapping[ClassLabel, int],
    folder: str | os.PathLike[str],
    file_format: SampleFormat = "pool",
    seed: int = 0,
    truncation: float = 1.0,
    dtype: StorageType | None = None,
    overwrite: bool = False,
    progress: bool = True,
) -> PoolRecord:
    """Makes the items of a plan and writes them as a pool or as image files with a data list.

    Until everything is written it is in ``<folder>.unfinished``; after a kill the same call goes on there.

    Args:
        generator: makes the items.
        plan: number of items, or {class: number} for a conditional generator.
        folder: a new or empty folder, in an existing one.
        file_format: ``"pool"`` for :class:`~monai_genaug.generators.SamplePool`, ``"nifti"``, ``"png"`` or ``"npz"``
            as :func:`~monai_genaug.data.export_pool` writes them.
        seed, truncation: as :func:`~monai_genaug.generators.build_pool` takes them.
        dtype: how images are stored; None for float32, in PNG files 8 bits.
        overwrite: replace samples that are in the folder, once the new ones are complete, and drop an unfinished
            beginning of others.
        progress: show progress bars.

    Returns:
        What was written.

    Raises:
        ValueError: an argument that is not allowed, or an unfinished beginning of other samples. Nothing is written.
        OSError: a folder that may not be replaced or cannot be written.
    """
    target = Path(folder).resolve()
    check_sample_format(file_format)
    if file_format != "pool":
        _check_format(file_format, generator.spec)
    generator._check_truncation(truncation)
    pairs, number = resolve_plan(plan, generator.spec), checked_seeds([seed])[0]
    stored: StorageType = dtype or ("uint8" if file_format == "png" else "float32")
    wanted = PoolRecord(generator.spec, pairs, number, float(truncation), 1, stored)
    with _unfinished_folder(target, overwrite) as work:
        made = work / target.name
        place = made if file_format == "pool" else work / f"{target.name}.pool"
        if overwrite:
            _drop_others(work, place, wanted)
        pool = build_pool(generator, plan, place, seed, truncation, dtype=stored, progress=progress)
        _export(pool, made, file_format, progress)
    return pool.record


def convert_samples(
    source: str | os.PathLike[str],
    folder: str | os.PathLike[str],
    file_format: SampleFormat,
    overwrite: bool = False,
    progress: bool = True,
) -> PoolRecord:
    """Writes a pool as files, files as a pool, or files in another format.

    Args:
        source: a pool, or a folder that :func:`~monai_genaug.data.export_pool` wrote, or its ``datalist.json``.
        folder: a new or empty folder, in an existing one.
        file_format: see :func:`write_samples`.
        overwrite: replace samples that are in the folder, once the new ones are complete.
        progress: show progress bars.

    Returns:
        What was written.

    Raises:
        ValueError: a source that is neither, that has this format already, or is damaged; or a format that cannot hold
            its items. Nothing is written.
        OSError: a folder that may not be replaced or cannot be written.
    """
    origin, target = Path(source).expanduser().resolve(), Path(folder).resolve()
    check_sample_format(file_format)
    datalist = origin if origin.name == _LIST else origin / _LIST
    is_pool = (origin / POOL_FILE).is_file()
    if not is_pool and not datalist.is_file():
        raise ValueError(f"{origin} is neither a finished pool ({POOL_FILE}) nor a folder of its files ({_LIST}).")
    if target in (origin, datalist.parent):
        raise ValueError(f"{target} is the source: choose another folder.")
    if is_pool and file_format == "pool":
        raise ValueError(f"{origin} is a pool already.")
    with _unfinished_folder(target, overwrite) as work:
        made = work / target.name
        if is_pool:
            pool = SamplePool(origin)
        else:
            pool = import_pool(datalist, made if file_format == "pool" else work / f"{target.name}.pool", progress)
        _export(pool, made, file_format, progress)
    return pool.record


def check_sample_format(file_format: str) -> None:
    """Refuses names that are no :data:`SampleFormat`.

    Raises:
        ValueError: the name, and those allowed.
    """
    if file_format not in get_args(SampleFormat):
        raise ValueError(f"file_format is {file_format!r}, allowed: {', '.join(get_args(SampleFormat))}.")


def _export(pool: SamplePool, made: Path, file_format: SampleFormat, progress: bool) -> None:
    """Writes the files, unless they are complete already."""
    if file_format != "pool" and not made.exists():
        files: PoolFileFormat = file_format
        export_pool(pool, made, files, progress)


def _drop_others(work: Path, place: Path, wanted: PoolRecord) -> None:
    """Empties a work folder in which other samples were begun."""
    for folder in (place, place.with_name(f"{place.name}.partial")):
        if (folder / POOL_FILE).is_file() and not wanted.differences(PoolRecord.read(folder)):
            return
    for path in work.iterdir():
        if path.is_dir() and path.name != "replaced":
            shutil.rmtree(path)
