# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""What commands write: nothing that exists is replaced without --force."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

__all__ = ["check_free_files", "check_report_folder", "write_report"]


def check_free_files(paths: Sequence[Path], force: bool) -> None:
    """Whether files may be written.

    Raises:
        FileExistsError: one exists and may not be replaced, or is a folder.
    """
    for path in paths:
        if path.is_dir():
            raise FileExistsError(f"{path} is a folder, needed: the name of a file.")
        if path.exists() and not force:
            raise FileExistsError(f"{path} exists already: choose another name, or --force.")


def check_report_folder(out: Path | None, names: Sequence[str], what: str, force: bool) -> None:
    """Whether a report may be written into a folder.

    Args:
        out: the folder; None for no report.
        names: files of the report.
        what: it reports, such as "audit".
        force: whether files of an earlier one may be replaced.

    Raises:
        ValueError: no folder, or files of an earlier one.
    """
    if out is None:
        return
    if out.exists() and not out.is_dir():
        raise ValueError(f"out is {out}, which is no folder.")
    present = [name for name in names if (out / name).exists()]
    if present and not force:
        raise ValueError(f"{out} has {', '.join(present)} of another {what}: choose another folder, or --force.")


def write_report(out: Path, texts: Mapping[str, str]) -> None:
    """Writes texts into a folder, which is created if needed; each file is replaced atomically.

    Args:
        out: the folder.
        texts: name of a file -> its text, without the last line's end.
    """
    out.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        unfinished = out / f".{name}"
        unfinished.write_text(f"{text}\n", encoding="utf-8")
        unfinished.replace(out / name)
