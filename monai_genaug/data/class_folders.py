# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Folders of images with one sub-folder per class."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from monai_genaug.data.image_files import _IMAGE_SUFFIXES, _existing_folder, _first_five, _image_files, _is_hidden

__all__ = ["class_folder_items", "class_folder_names"]

SubjectOfPath = str | re.Pattern[str] | Callable[[str], str]


def class_folder_names(folder: str | os.PathLike[str]) -> tuple[str, ...]:
    """The names of the classes 0, 1, ... of a folder: its sub-folders, sorted; none for a flat folder of images."""
    return tuple(
        sorted(path.name for path in _existing_folder(folder).iterdir() if path.is_dir() and not _is_hidden(path.name))
    )


def class_folder_items(
    folder: str | os.PathLike[str],
    subject: SubjectOfPath | None = None,
    suffixes: Sequence[str] = _IMAGE_SUFFIXES,
) -> list[dict[str, Any]]:
    r"""The images of a folder that has one sub-folder per class, or of a flat folder without classes.

    Only names are read; :func:`check_images` opens the files. Files with other suffixes and hidden ones are left out.

    Args:
        folder: the folder; classes may have sub-folders of their own.
        subject: who an image is of, so that a split keeps a subject's images together: a regular expression with one
            group, searched in the path below ``folder`` (``r"_p(\d+)_"``, or ``r"^[^/]+/([^/]+)/"`` for a folder per
            subject inside each class), or a function from the absolute path. None: each file is its own subject.
        suffixes: what the names of images end with, in any case of letters.

    Returns:
        ``{"image": path, "label": class id, "class_name": name, "subject": name}`` per item, sorted by class and
        path; paths are absolute, ids count :func:`class_folder_names`. Items of a flat folder have neither label nor
        class name.

    Raises:
        FileNotFoundError: the folder does not exist.
        ValueError: a class with fewer than two images (named), images beside the classes, or a ``subject`` that has
            not exactly one group or gives no name for a file (named).
    """
    root = _existing_folder(folder)
    names = class_folder_names(root)
    loose = [path for path in _image_files(root, suffixes) if path.parent == root] if names else []
    if loose:
        raise ValueError(f"{root} has classes {list(names)} and images beside them: {_first_five(loose)}")
    if not names:
        return [{"image": str(path), "subject": who} for path, who in _members(root, root, subject, suffixes)]
    return [
        {"image": str(path), "label": label, "class_name": name, "subject": who}
        for label, name in enumerate(names)
        for path, who in _members(root / name, root, subject, suffixes)
    ]


def _members(
    folder: Path, root: Path, subject: SubjectOfPath | None, suffixes: Sequence[str]
) -> list[tuple[Path, str]]:
    """The images in ``folder``, each with its subject."""
    files = _image_files(folder, suffixes)
    if len(files) < 2:
        raise ValueError(f"{folder} has {len(files)} images ({', '.join(suffixes)}), at least two are needed.")
    below = [path.relative_to(root).as_posix() for path in files]
    if subject is None:
        return list(zip(files, below, strict=True))
    whose = [subject(str(path)) for path in files] if callable(subject) else _only_groups(subject, below)
    nobody = [name for name, who in zip(below, whose, strict=True) if not isinstance(who, str) or not who]
    if nobody:
        raise ValueError(f"subject {subject!r} gives no name for {len(nobody)} files: {_first_five(nobody)}")
    return list(zip(files, whose, strict=True))


def _only_groups(pattern: str | re.Pattern[str], names: Sequence[str]) -> list[str]:
    """What the only group of the pattern matches in each name, empty where nothing."""
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise ValueError(f"subject is {pattern!r}, which is no regular expression: {error}.") from error
    if compiled.groups != 1:
        raise ValueError(f"subject is {compiled.pattern!r} with {compiled.groups} groups, exactly one is needed.")
    return [match[1] or "" if match else "" for match in map(compiled.search, names)]
