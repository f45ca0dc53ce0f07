# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Image files below a folder, for the readers of data sets."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

__all__: list[str] = []

_IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".nii", ".nii.gz", ".dcm")


def _image_files(folder: Path, suffixes: Sequence[str]) -> list[Path]:
    """The files below a folder whose names end so, in any case of letters, sorted; hidden ones are left out."""
    endings = tuple(suffix.lower() for suffix in suffixes)
    found = []
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not _is_hidden(name)]
        found += [Path(parent, name) for name in names if name.lower().endswith(endings) and not _is_hidden(name)]
    return sorted(found, key=lambda path: path.relative_to(folder).as_posix())


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name == "__MACOSX"


def _existing_folder(folder: str | os.PathLike[str]) -> Path:
    path = Path(folder).expanduser().resolve()
    if not path.is_dir():
        raise FileNotFoundError(f"{path} is not a folder.")
    return path


def _first_five(names: Iterable[object]) -> str:
    """The first five names for an error, with dots if there are more."""
    listed = [str(name) for name in names]
    return ", ".join(listed[:5]) + ", ..." * (len(listed) > 5)
