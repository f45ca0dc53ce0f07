# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Anatomical volumes of a BIDS folder (Gorgolewski et al., Scientific Data 3:160044, 2016)."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from monai_genaug.data.image_files import _existing_folder, _first_five
from monai_genaug.data.image_tables import _add_classes, _table_rows

__all__ = ["bids_items"]

_NAMES = re.compile(r"_([A-Za-z0-9]+)\.nii(\.gz)?")


def bids_items(
    folder: str | os.PathLike[str],
    suffix: str = "T1w",
    label_column: str | None = None,
    classes: Sequence[str] | None = None,
    columns: Mapping[str, str] | None = None,
) -> list[dict[str, Any]]:
    """The volumes ``sub-*/[ses-*/]anat/*_<suffix>.nii[.gz]`` of a BIDS folder.

    Participants without such a volume are left out. Without ``label_column`` and ``columns`` no table is needed.

    Args:
        folder: the data set's folder.
        suffix: the last part of the names, such as ``"T1w"`` or ``"FLAIR"``.
        label_column: column of ``participants.tsv`` that names a participant's class. None: items have no label.
        classes: the names of the classes 0, 1, ...; by default all that these participants have, sorted.
        columns: further values to copy from ``participants.tsv``, as text: {key of the item: column}.

    Returns:
        ``{"image": path, "subject": "sub-...", "session": "ses-...", "label": class id, "class_name": name, ...}`` per
        volume, sorted by path; paths are absolute, the session is ``""`` where there is none.

    Raises:
        FileNotFoundError: the folder or the table is not there.
        ValueError: no such volumes, a column that the table does not have, participants that it does not list, lists
            twice or lists without class (``""`` or ``"n/a"``), or a class that is not in ``classes``.
    """
    root = _existing_folder(folder)
    volumes = sorted(path for pattern in ("sub-*/anat/*", "sub-*/ses-*/anat/*") for path in root.glob(pattern))
    suffixes = {path: match[1] for path in volumes if (match := _NAMES.fullmatch(path.name[path.name.rfind("_") :]))}
    paths = [path for path in volumes if suffixes.get(path) == suffix and not path.name.startswith(".")]
    if not paths:
        raise ValueError(f"{root} has no volumes *_{suffix}.nii[.gz], it has {sorted(set(suffixes.values()))}.")
    items: list[dict[str, Any]] = [_item(path, root) for path in paths]
    if label_column is None and not columns:
        return items
    table = root / "participants.tsv"
    rows = _participants(table, items, ["participant_id", label_column, *(columns or {}).values()])
    if label_column is not None:
        names = [row[label_column] for row in rows]
        nameless = sorted({item["subject"] for item, name in zip(items, names, strict=True) if name in ("", "n/a")})
        if nameless:
            raise ValueError(
                f"{table} has no {label_column!r} for {len(nameless)} participants: {_first_five(nameless)}"
            )
        _add_classes(items, names, classes, f"column {label_column!r} of {table}")
    for item, row in zip(items, rows, strict=True):
        item.update({key: row[column] for key, column in (columns or {}).items()})
    return items


def _item(path: Path, root: Path) -> dict[str, Any]:
    parts = path.relative_to(root).parts
    return {"image": str(path), "subject": parts[0], "session": parts[1] if len(parts) == 4 else ""}


def _participants(
    table: Path, items: Sequence[Mapping[str, Any]], columns: Sequence[str | None]
) -> list[dict[str, str]]:
    """The participant's row of each item."""
    by_subject: dict[str, dict[str, str]] = {}
    for row in _table_rows(table, columns):
        subject = "sub-" + row["participant_id"].removeprefix("sub-")
        if subject in by_subject:
            raise ValueError(f"{table} lists {subject} more than once.")
        by_subject[subject] = row
    unlisted = sorted({item["subject"] for item in items} - set(by_subject))
    if unlisted:
        raise ValueError(f"{table} does not list {len(unlisted)} participants: {_first_five(unlisted)}")
    return [by_subject[item["subject"]] for item in items]
