# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""A folder that lives as long as the object that stands for it."""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
from pathlib import Path
from typing import Any

__all__: list[str] = []


class _TemporaryFolder:
    """A new folder, removed when the last reference to this object is gone, at the latest when the process ends.

    Only the process that made it removes it: a forked worker drops its references without harm, and a pickle holds
    the path alone.
    """

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="monai_genaug-"))
        weakref.finalize(self, _remove, self.path, os.getpid())

    def __deepcopy__(self, memo: dict[int, Any]) -> _TemporaryFolder:
        return self

    def __reduce__(self) -> tuple[type[Path], tuple[str]]:
        return Path, (str(self.path),)


def _remove(path: Path, owner: int) -> None:
    if os.getpid() == owner:
        shutil.rmtree(path, ignore_errors=True)
