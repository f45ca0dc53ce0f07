# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Images that a table lists, as in ISIC and many other public sets."""

from __future__ import annotations

import csv
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from monai_genaug.data.image_files import _IMAGE_SUFFIXES, _existing_folder, _first_five, _image_files

__all__ = ["image_table_items"]


def image_table_items(
    table: str | os.PathLike[str],
    image_dir: str | os.PathLike[str],
    image_column: str,
    class_column: str | None = None,
    subject_column: str | None = None,
    classes: Sequence[str] | None = None,
    suffixes: Sequence[str] = _IMAGE_SUFFIXES,
    columns: Mapping[str, str] | None = None,
) -> list[dict[str, Any]]:
    """The images that a table lists, one per row.

    Args:
        table: a CSV file, or a TSV file if its name ends so, with a header.
        image_dir: where the images lie, in sub-folders or not.
        image_column: names an image: its file name, or its path below ``image_dir``, with or without suffix.
        class_column: names its class. None: items have neither label nor class name.
        subject_column: names its subject. None: each image is its own subject.
        classes: the names of the classes 0, 1, ...; by default all that the table has, sorted.
        suffixes: what the names of images end with, in any case of letters; other files are not looked at.
        columns: further values to copy, as text: {key of the item: column}.

    Returns:
        ``{"image": path, "label": class id, "class_name": name, "subject": name, ...}`` per row, sorted by the name
        of the image; paths are absolute. Images that no row names are left out.

    Raises:
        FileNotFoundError: the table or the folder is not there, or images of the table (named) are not in the folder.
        ValueError: a column that the table does not have, an empty cell, a class that is not in ``classes``, or an
            image that two rows name or of which the folder has several.
    """
    path = Path(table).expanduser().resolve()
    rows = _table_rows(path, [image_column, class_column, subject_column, *(columns or {}).values()])
    needed = [column for column in (image_column, class_column, subject_column) if column is not None]
    for column in needed:
        _check_filled(rows, column, image_column, path)
    rows = sorted(rows, key=lambda row: row[image_column])
    paths = _found_images([row[image_column] for row in rows], _existing_folder(image_dir), suffixes, path)
    items: list[dict[str, Any]] = [{"image": str(image)} for image in paths]
    if class_column is not None:
        _add_classes(items, [row[class_column] for row in rows], classes, f"column {class_column!r} of {path}")
    for item, row in zip(items, rows, strict=True):
        item["subject"] = row[subject_column or image_column]
        item.update({key: row[column] for key, column in (columns or {}).items()})
    return items


def _table_rows(path: Path, columns: Sequence[str | None]) -> list[dict[str, str]]:
    """The rows of a CSV or TSV file, with stripped cells; the columns that are not None must be there."""
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist.")
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, delimiter="\t" if path.suffix == ".tsv" else ",", restval="")
            rows = [{name: str(cell).strip() for name, cell in row.items() if name is not None} for row in reader]
            header = list(reader.fieldnames or ())
    except (csv.Error, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is no readable table: {error}.") from error
    missing = sorted({column for column in columns if column is not None} - set(header))
    if missing:
        raise ValueError(f"{path} has no columns {missing}, its columns are {header}.")
    if not rows:
        raise ValueError(f"{path} has no rows.")
    return rows


def _check_filled(rows: Sequence[Mapping[str, str]], column: str, name_column: str, path: Path) -> None:
    empty = [row[name_column] or f"row {number}" for number, row in enumerate(rows, 2) if not row[column]]
    if empty:
        raise ValueError(f"{path} has no {column!r} for {len(empty)} of {len(rows)} rows: {_first_five(empty)}")


def _found_images(names: Sequence[str], folder: Path, suffixes: Sequence[str], table: Path) -> list[Path]:
    """The file of each name."""
    by_name: dict[str, list[Path]] = {}
    for path in _image_files(folder, suffixes):
        below = path.relative_to(folder).as_posix()
        suffix = max((end for end in suffixes if below.lower().endswith(end.lower())), key=len)
        for name in {below, below[: -len(suffix)], path.name, path.name[: -len(suffix)]}:
            by_name.setdefault(name, []).append(path)
    missing = [name for name in names if name not in by_name]
    if missing:
        shown = _first_five(missing)
        raise FileNotFoundError(f"{len(missing)} of {len(names)} images of {table} are not in {folder}: {shown}")
    several = [path for name in names if len(by_name[name]) > 1 for path in by_name[name]]
    if several:
        raise ValueError(f"{folder} has several images of one name in {table}: {_first_five(several)}")
    paths = [by_name[name][0] for name in names]
    rows_of = Counter(paths)
    twice = [name for path, name in zip(paths, names, strict=True) if rows_of[path] > 1]
    if twice:
        raise ValueError(f"{table} has several rows of one image: {_first_five(twice)}")
    return paths


def _add_classes(
    items: Sequence[dict[str, Any]], names: Sequence[str], classes: Sequence[str] | None, where: str
) -> None:
    """Writes ``label`` and ``class_name`` into the items."""
    allowed = sorted(set(names)) if classes is None else list(classes)
    if len(set(allowed)) != len(allowed):
        raise ValueError(f"classes are {allowed}, a name is there twice.")
    unknown = sorted(set(names) - set(allowed))
    if unknown:
        raise ValueError(f"{where} has the classes {unknown}, allowed: {allowed}.")
    for item, name in zip(items, names, strict=True):
        item["label"] = allowed.index(name)
        item["class_name"] = name
