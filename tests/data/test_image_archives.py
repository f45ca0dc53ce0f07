# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import multiprocessing
import os
import zipfile
from pathlib import Path

import pytest

from monai_genaug.data.image_archives import extract_images

CONTENT = {"a.jpg": b"first", "sub/b.PNG": b"second" * 50, "sub/c.jpg": b""}


def write_zip(path: Path, content: dict[str, bytes] | None = None, stored: bool = False) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED) as archive:
        for name, data in (CONTENT if content is None else content).items():
            archive.writestr(name, data)
    return path


def files_in(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_images_are_extracted_with_their_folders(tmp_path: Path) -> None:
    extra = {"notes.txt": b"x", "__MACOSX/a.jpg": b"x", "sub/._b.png": b"x", "empty/": b""}
    archive = write_zip(tmp_path / "x.zip", {**CONTENT, **extra})
    folder = extract_images([archive], tmp_path / "new" / "images")
    assert folder == (tmp_path / "new" / "images").resolve()
    assert files_in(folder) == CONTENT
    assert (folder / "a.jpg").stat().st_mode & 0o777 == 0o644


def test_several_archives_make_one_folder(tmp_path: Path) -> None:
    one, two = write_zip(tmp_path / "1.zip", {"a.jpg": b"1"}), write_zip(tmp_path / "2.zip", {"b.jpg": b"2"})
    assert files_in(extract_images([one, two], tmp_path / "out")) == {"a.jpg": b"1", "b.jpg": b"2"}
    three = write_zip(tmp_path / "3.zip", {"b.jpg": b"3", "c.jpg": b"3"})
    with pytest.raises(ValueError, match=r"more than once: b\.jpg"):
        extract_images([one, two, three], tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_what_is_there_is_left(tmp_path: Path) -> None:
    archive = write_zip(tmp_path / "x.zip")
    extract_images([archive], tmp_path / "out")
    inode = (tmp_path / "out" / "a.jpg").stat().st_ino
    (tmp_path / "out" / "sub" / "b.PNG").unlink()
    extract_images([archive], tmp_path / "out")
    assert files_in(tmp_path / "out") == CONTENT
    assert (tmp_path / "out" / "a.jpg").stat().st_ino == inode


def test_other_files_are_not_overwritten(tmp_path: Path) -> None:
    archive = write_zip(tmp_path / "x.zip")
    (tmp_path / "out" / "a.jpg").mkdir(parents=True)
    with pytest.raises(ValueError, match=r"other files under the names of 1 images: a\.jpg"):
        extract_images([archive], tmp_path / "out")
    (tmp_path / "out" / "a.jpg").rmdir()
    (tmp_path / "out" / "a.jpg").write_bytes(b"of somebody else")
    with pytest.raises(ValueError, match=r"other files under the names of 1 images: a\.jpg"):
        extract_images([archive], tmp_path / "out")
    assert files_in(tmp_path / "out") == {"a.jpg": b"of somebody else"}


@pytest.mark.parametrize(
    "name", ["../a.jpg", "x/../../a.jpg", "/a.jpg", "..\\a.jpg", "C:/a.jpg", "\\a.jpg", "../a.txt"]
)
def test_names_that_lead_out_are_refused(tmp_path: Path, name: str) -> None:
    archive = write_zip(tmp_path / "x.zip", {"good.jpg": b"1", name: b"2"})
    with pytest.raises(ValueError, match="members outside its folder"):
        extract_images([archive], tmp_path / "in" / "out")
    assert files_in(tmp_path) == {"x.zip": archive.read_bytes()}


def test_bad_archives_are_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"x\.zip does not exist"):
        extract_images([tmp_path / "x.zip"], tmp_path / "out")
    archive = write_zip(tmp_path / "x.zip", {"notes.txt": b"x"})
    with pytest.raises(ValueError, match=r"x\.zip has no images"):
        extract_images([archive], tmp_path / "out")
    for data in (b"", b"text", write_zip(archive).read_bytes()[:-30]):
        archive.write_bytes(data)
        with pytest.raises(ValueError, match=r"x\.zip is no readable zip file"):
            extract_images([archive], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_damaged_member_leaves_no_file(tmp_path: Path) -> None:
    archive = write_zip(tmp_path / "x.zip", {"a.jpg": b"good", "b.jpg": b"SECOND" * 9}, stored=True)
    archive.write_bytes(archive.read_bytes().replace(b"SECOND", b"BROKEN", 1))
    with pytest.raises(ValueError, match=r"b\.jpg in .*x\.zip cannot be read: Bad CRC"):
        extract_images([archive], tmp_path / "out")
    assert files_in(tmp_path / "out") == {"a.jpg": b"good"}


def _extract(archive: Path, folder: Path) -> None:
    extract_images([archive], folder)


def test_processes_may_extract_at_the_same_time(tmp_path: Path) -> None:
    content = {f"{number}.jpg": os.urandom(20_000) for number in range(100)}
    archive = write_zip(tmp_path / "x.zip", content)
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=_extract, args=(archive, tmp_path / "out")) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    assert files_in(tmp_path / "out") == content
