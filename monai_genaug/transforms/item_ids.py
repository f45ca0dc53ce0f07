# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Ids of items that are the same on every machine."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

__all__ = ["assign_ids"]


def assign_ids(
    datalist: Sequence[Mapping[str, Any]], root: str | Path, key: str = "image", id_key: str = "id"
) -> list[dict[str, Any]]:
    """Gives every item an id: the path of its file relative to ``root``, with forward slashes.

    Whole paths differ between machines, and base names collide between folders.

    Args:
        datalist: items, with a path, or several (joined by ``|``), under ``key``. Relative paths are relative to the
            working directory if that leads into ``root``, else to ``root``.
        root: folder of the data set.
        key: key of the paths.
        id_key: key of the ids.

    Returns:
        Copies of the items, with ids.

    Raises:
        KeyError: an item without ``key``.
        ValueError: a file outside ``root``, a repeated id, or an item that has another id already.

    Example:
        >>> mg.assign_ids([{"image": "data/site_a/1.png"}], root="data")[0]["id"]
        'site_a/1.png'
    """
    base = _absolute(Path(root))
    numbers: dict[str, int] = {}
    result = []
    for number, item in enumerate(datalist):
        if key not in item:
            raise KeyError(f"item {number} has no key {key!r}, allowed: {list(item)}.")
        paths = [item[key]] if isinstance(item[key], (str, os.PathLike)) else list(item[key])
        name = "|".join(_relative(Path(path), base) for path in paths)
        if name in numbers:
            raise ValueError(f"items {numbers[name]} and {number} have the same {key!r}, {name!r}: ids must differ.")
        if item.get(id_key, name) != name:
            raise ValueError(f"item {number} has {id_key}={item[id_key]!r} already, which is not {name!r}.")
        numbers[name] = number
        result.append({**item, id_key: name})
    return result


def _relative(path: Path, base: Path) -> str:
    candidates = [_absolute(path), _absolute(base / path)]
    for candidate in candidates:
        if candidate.is_relative_to(base):
            return candidate.relative_to(base).as_posix()
    raise ValueError(f"{str(path)!r} is outside root {str(base)!r}.")


def _absolute(path: Path) -> Path:
    """Without ``..``, but links not resolved: they differ between machines."""
    return Path(os.path.normpath(path.absolute()))
