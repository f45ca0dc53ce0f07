# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""One process at a time writes a folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

__all__: list[str] = []


@contextmanager
def _only_writer(folder: Path, path: Path) -> Iterator[None]:
    """Holds the lock file ``path`` of ``folder``, which the system takes back from a process that dies.

    Raises:
        RuntimeError: another process holds it.
    """
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise RuntimeError(f"another process is writing {folder}: it holds {path}.") from error
    try:
        yield
    finally:
        lock.release()
