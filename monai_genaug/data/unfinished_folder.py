# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""A folder of samples that appears, or replaces an earlier one, when it is complete."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from monai_genaug.data.only_writer import _only_writer
from monai_genaug.generators.pool_record import POOL_FILE

__all__: list[str] = []

_OURS = (POOL_FILE, "datalist.json")
_REPLACED = "replaced"


@contextmanager
def _unfinished_folder(folder: Path, overwrite: bool) -> Iterator[Path]:
    """A work folder ``<folder>.unfinished``; what is in it under the name of ``folder`` takes its place at the end.

    The work folder stays after an error or a kill, for the next call, unless there is nothing in it.

    Args:
        folder: a new or empty folder in an existing one; a pool or files of a pool to replace.
        overwrite: whether to replace.

    Raises:
        FileExistsError: samples that may not be replaced, or something else, which never is.
        NotADirectoryError: there is no folder to put it in.
        BlockingIOError: another process is writing it.
    """
    _check_target(folder, overwrite)
    work = folder.with_name(f"{folder.name}.unfinished")
    with ExitStack() as stack:
        try:
            stack.enter_context(_only_writer(folder, folder.with_name(f".{folder.name}.lock")))
        except RuntimeError as error:
            raise BlockingIOError(str(error)) from error
        _check_target(folder, overwrite)  # another process may have been faster
        work.mkdir(exist_ok=True)
        try:
            yield work
            _take_place(work, folder)
        finally:
            _remove_if_empty(work)


def _check_target(folder: Path, overwrite: bool) -> None:
    if not folder.parent.is_dir():
        raise NotADirectoryError(f"{folder.parent} is not a folder.")
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    if not any((folder / name).is_file() for name in _OURS):
        raise FileExistsError(f"{folder} exists already and holds no samples, so that it is not replaced.")
    if not overwrite:
        raise FileExistsError(f"{folder} exists already: choose another folder, or overwrite it (--force).")


def _take_place(work: Path, folder: Path) -> None:
    shutil.rmtree(work / _REPLACED, ignore_errors=True)
    if folder.exists():
        folder.replace(work / _REPLACED)
    (work / folder.name).replace(folder)
    shutil.rmtree(work)


def _remove_if_empty(work: Path) -> None:
    """Removes a work folder with nothing but lock files in it."""
    if work.is_dir() and all(path.suffix == ".lock" for path in work.iterdir()):
        shutil.rmtree(work)
