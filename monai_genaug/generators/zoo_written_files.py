# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Samples that a third-party bundle writes as files and returns by their names."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from monai.transforms import Compose, Orientationd, Transform

from monai_genaug.generators.base import Samples
from monai_genaug.generators.preprocessing import AXIS_LABELS, volume_loader
from monai_genaug.generators.zoo_outputs import as_tensor, part_of

__all__ = ["read_written"]


def read_written(made: Any, where: Mapping[str, int | str], folder: Path, orientation: str | None) -> Samples:
    """Reads the first sample that a bundle wrote.

    Args:
        made: what the bundle returned: one item, or a list with an item per sample. An item is the name of the image,
            or holds a name per output.
        where: name of an output -> its key or position in an item; empty: the item is the name of the image.
        folder: in which the files must lie; relative names start there.
        orientation: axis codes that volumes are turned to; None: as they were written.

    Returns:
        Name -> ``(1, channels, *spatial)``, float32. Nothing of it refers to the files.

    Raises:
        ValueError: no name of a file, or a file that was not written, or outside the folder.
    """
    is_one = isinstance(made, (str, os.PathLike, Mapping))
    items = [made] if is_one else list(made) if isinstance(made, (list, tuple)) else []
    if not items:
        raise ValueError(f"the sample is {made!r}, expected the names of files that were written.")
    names = {name: part_of(items[0], key) for name, key in where.items()} or {"image": items[0]}
    paths = {name: str(_written(value, folder)) for name, value in names.items()}
    steps: list[Transform] = [volume_loader(tuple(paths))]
    if orientation is not None:
        steps.append(Orientationd(tuple(paths), axcodes=orientation, labels=AXIS_LABELS))
    volumes: Mapping[str, Any] = Compose(steps)(paths)
    return {name: as_tensor(volumes[name])[None] for name in paths}


def _written(value: Any, folder: Path) -> Path:
    """The path of a file that lies in the folder."""
    if not isinstance(value, (str, os.PathLike)):
        raise ValueError(f"the sample is {type(value).__name__}, expected the name of a file that was written.")
    path = (folder / value).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise ValueError(
            f"the bundle wrote {os.fspath(value)!r}, which is outside of the temporary folder that output_dir of the "
            "recipe gave it: name there the config item that all of its files go to."
        )
    if not path.is_file():
        there = sorted(found.name for found in folder.rglob("*") if found.is_file())
        raise ValueError(f"the bundle returned {os.fspath(value)!r}, but wrote {there}.")
    return path
