# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Images out of zip files, extracted once."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import zipfile
import zlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from monai_genaug.data.image_files import _IMAGE_SUFFIXES, _first_five, _is_hidden

__all__ = ["extract_images"]


def extract_images(
    archives: Sequence[str | os.PathLike[str]],
    folder: str | os.PathLike[str],
    suffixes: Sequence[str] = _IMAGE_SUFFIXES,
) -> Path:
    """Extracts the images of zip files into a folder.

    What is there already is left as it is: an interrupted extraction goes on where it stopped, a finished one costs a
    look at each file's size. A file appears complete or not at all, so that several processes may do this at the same
    time.

    Args:
        archives: zip files; their folders are kept.
        folder: is made if it does not exist.
        suffixes: what the names of images end with, in any case of letters; other members are left out.

    Returns:
        The folder, as an absolute path.

    Raises:
        FileNotFoundError: an archive does not exist.
        ValueError: a file that is no readable zip file, one without images, a member whose name leads out of the
            folder, an image that is in them twice, or one that is in the folder with another size. Nothing is extracted
            then. A member that cannot be read: those before it are extracted.
    """
    target = Path(folder).expanduser().resolve()
    members = [(Path(archive), _image_members(Path(archive), tuple(suffixes))) for archive in archives]
    counts = Counter(info.filename for _, infos in members for info in infos)
    twice = [name for name, count in counts.items() if count > 1]
    if twice:
        raise ValueError(f"images are in {[str(path) for path, _ in members]} more than once: {_first_five(twice)}")
    other = [info.filename for _, infos in members for info in infos if not _fits(info, target / info.filename)]
    if other:
        raise ValueError(f"{target} has other files under the names of {len(other)} images: {_first_five(other)}")
    for archive, infos in members:
        missing = [info for info in infos if not (target / info.filename).exists()]
        if missing:
            with zipfile.ZipFile(archive) as file:
                for info in missing:
                    _extract(file, info, target / info.filename, archive)
    return target


def _image_members(archive: Path, suffixes: tuple[str, ...]) -> list[zipfile.ZipInfo]:
    if not archive.is_file():
        raise FileNotFoundError(f"{archive} does not exist.")
    try:
        with zipfile.ZipFile(archive) as file:
            infos = file.infolist()
    except (zipfile.BadZipFile, OSError) as error:
        raise ValueError(f"{archive} is no readable zip file: {error}") from error
    outside = [info.filename for info in infos if _leads_out(info.filename)]
    if outside:
        raise ValueError(f"{archive} has members outside its folder: {_first_five(outside)}")
    endings = tuple(suffix.lower() for suffix in suffixes)
    images = [
        info
        for info in infos
        if info.filename.lower().endswith(endings) and not any(map(_is_hidden, PurePosixPath(info.filename).parts))
    ]
    if not images:
        raise ValueError(f"{archive} has no images ({', '.join(suffixes)}).")
    return images


def _leads_out(name: str) -> bool:
    path = PurePosixPath(name.replace("\\", "/"))
    return path.is_absolute() or ".." in path.parts or bool(re.match("[A-Za-z]:", name))


def _fits(info: zipfile.ZipInfo, path: Path) -> bool:
    """Whether there is nothing or the image itself."""
    return not path.exists() or (path.is_file() and path.stat().st_size == info.file_size)


def _extract(archive: zipfile.ZipFile, info: zipfile.ZipInfo, path: Path, source: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file, archive.open(info) as member:
            shutil.copyfileobj(member, file)  # checks size and CRC at the end
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise ValueError(f"{info.filename} in {source} cannot be read: {error}") from error
    finally:
        Path(temporary).unlink(missing_ok=True)
