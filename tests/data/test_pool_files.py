# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import time
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from filelock import FileLock
from monai.data import load_decathlon_datalist
from monai.transforms import Compose, EnsureChannelFirstd, LoadImaged, ScaleIntensityRanged
from PIL import Image

from monai_genaug.data.pool_file_formats import PoolFileFormat
from monai_genaug.data.pool_files import export_pool, import_pool
from monai_genaug.generators import OutputSpec, SampleGenerator, SamplePool, build_pool, load_generator
from monai_genaug.generators.base import Samples
from tests.toy import toy_generator, toy_spec

PLAN = {"ill": 3, "well": 2}


class Coloured(SampleGenerator):
    """Noise in colour and one class per half of the intensities, as large as tests want it."""

    def __init__(self, size: int = 6) -> None:
        outputs = {"image": OutputSpec("image", 3, (-1, 1), "float32")}
        super().__init__(
            toy_spec((size, size + 2), outputs=outputs, encodes=(), truncation=False, classes={0: "well", 1: "ill"})
        )

    def _generate(self, seeds: list[int], classes: list[int] | None, truncation: float) -> Samples:
        assert classes is not None
        shape = (3, *self.spec.spatial_shape)
        noise = [torch.rand(shape, generator=torch.Generator().manual_seed(seed)) for seed in seeds]
        return {"image": torch.stack(noise) - 1 + torch.tensor(classes).view(-1, 1, 1, 1)}


def build(folder: Path, generator: SampleGenerator, plan: Any = 4, **arguments: Any) -> SamplePool:
    return build_pool(generator, plan, folder, seed=3, block_size=2, progress=False, **arguments)


def content(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def assert_same(found: SamplePool, expected: SamplePool) -> None:
    """Equal bytes on disk, which include pool.json with its checksums."""
    assert found.record.identity == expected.record.identity
    assert content(found.folder) == content(expected.folder)


@pytest.fixture
def coloured(tmp_path: Path) -> SamplePool:
    return build(tmp_path / "pool", Coloured(), PLAN)


@pytest.fixture
def exported(tmp_path: Path, coloured: SamplePool) -> Path:
    """The list of a pool in colour as PNG."""
    return export_pool(coloured, tmp_path / "files", "png", progress=False)


@pytest.mark.parametrize("dtype", ["float32", "float16", "uint8"])
@pytest.mark.parametrize("classes", [None, ("well", "ill")])
@pytest.mark.parametrize("mask", [True, False])
@pytest.mark.parametrize(
    ("file_format", "shape"), [("nifti", (8, 8, 8)), ("nifti", (8, 16)), ("npz", (8, 8, 8)), ("npz", (8, 16))]
)
def test_nifti_and_npz_give_the_same_pool(
    tmp_path: Path, file_format: PoolFileFormat, shape: tuple[int, ...], mask: bool, classes: Any, dtype: str
) -> None:
    plan = PLAN if classes else 4
    pool = build(tmp_path / "pool", toy_generator(shape, mask, classes), plan, dtype=dtype, truncation=0.5)
    datalist = export_pool(pool, tmp_path / "files", file_format, progress=False)
    assert_same(import_pool(datalist, tmp_path / "again", progress=False), pool)


@pytest.mark.parametrize("dtype", ["float32", "uint8"])
@pytest.mark.parametrize("generator", [Coloured(), toy_generator((8, 16), classes=("well", "ill"))])
def test_png_gives_the_pool_of_8_bits(tmp_path: Path, generator: SampleGenerator, dtype: str) -> None:
    pool = build(tmp_path / "pool", generator, PLAN, dtype=dtype)
    datalist = export_pool(pool, tmp_path / "files", "png", progress=False)
    found = import_pool(datalist, tmp_path / "again", progress=False)
    assert_same(found, build(tmp_path / "8 bits", generator, PLAN, dtype="uint8"))
    for i in range(5):
        low, high = generator.spec.outputs["image"].value_range
        assert (found[i]["image"] - pool[i]["image"]).abs().max() <= (high - low) / 510 + 1e-6


def test_png_of_what_was_rounded_before_is_another_pool(tmp_path: Path) -> None:
    pool = build(tmp_path / "pool", Coloured(), PLAN, dtype="float16")
    found = import_pool(export_pool(pool, tmp_path / "files", "png", progress=False), tmp_path / "again", False)
    assert found.record.generator.sha256 == pool.record.identity
    assert found.record.generator.replace(sha256="") == Coloured().spec
    assert (found[0]["image"] - pool[0]["image"]).abs().max() <= 1 / 255 + 1e-6


def test_monai_trains_from_the_list_of_a_classification(coloured: SamplePool, exported: Path) -> None:
    chain = Compose(
        [
            LoadImaged("image", reader="PILReader", reverse_indexing=False),
            EnsureChannelFirstd("image"),
            ScaleIntensityRanged("image", 0, 255, -1, 1),
        ]
    )
    entries = load_decathlon_datalist(exported, is_segmentation=False)
    assert [entry["label"] for entry in entries] == [1, 1, 1, 0, 0]
    assert [entry["seed"] for entry in entries] == [coloured.record.item_seed(i) for i in range(5)]
    assert all(entry["is_synthetic"] is True for entry in entries)
    for number, entry in enumerate(entries):
        found = chain(entry)["image"].as_tensor()
        torch.testing.assert_close(found, coloured[number]["image"], rtol=0, atol=1 / 255 + 1e-6)


def test_monai_trains_from_the_list_of_a_segmentation(tmp_path: Path) -> None:
    pool = build(tmp_path / "pool", toy_generator((8, 8, 8)))
    entries = load_decathlon_datalist(export_pool(pool, tmp_path / "files", progress=False))
    chain = Compose([LoadImaged(("image", "label")), EnsureChannelFirstd(("image", "label"))])
    assert len(entries) == 4
    for number, entry in enumerate(entries):
        item = chain(entry)
        assert torch.equal(item["image"].as_tensor(), pool[number]["image"])
        assert torch.equal(item["label"].as_tensor(), pool[number]["mask"].float())


def test_sums_are_those_of_the_files(exported: Path) -> None:
    lines = (exported.parent / "SHA256SUMS").read_text().splitlines()
    found = dict(reversed(line.split("  ")) for line in lines)
    files = {name: data for name, data in content(exported.parent).items() if name.startswith("imagesTr")}
    assert found == {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    assert len(files) == 5


def test_folders_can_be_moved_and_nothing_else_is_left(tmp_path: Path, coloured: SamplePool, exported: Path) -> None:
    assert {path.name for path in tmp_path.iterdir()} - {".pool.lock"} == {"pool", "files", ".files.lock"}
    assert not (tmp_path / ".files.lock").read_bytes()
    exported.parent.rename(tmp_path / "moved")
    assert len(import_pool(tmp_path / "moved" / "datalist.json", tmp_path / "again", progress=False)) == 5


def test_an_export_continues(tmp_path: Path, coloured: SamplePool, exported: Path) -> None:
    expected = content(exported.parent)
    partial = exported.parent.rename(tmp_path / "files.partial")
    for name in ("SHA256SUMS", "imagesTr/synthetic_000003.png", "imagesTr/synthetic_000004.png"):
        (partial / name).unlink()
    (partial / "imagesTr" / ".synthetic_000003.png").write_bytes(b"half")
    before = (partial / "imagesTr" / "synthetic_000000.png").stat()
    export_pool(coloured, tmp_path / "files", "png", progress=False)
    assert content(tmp_path / "files") == expected
    after = (tmp_path / "files" / "imagesTr" / "synthetic_000000.png").stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_killed_export_continues(tmp_path: Path) -> None:
    pool = build(tmp_path / "pool", Coloured(48), {"ill": 150})
    process = get_context("fork").Process(target=export_pool, args=(pool, tmp_path / "files", "npz", False))
    process.start()
    deadline = time.monotonic() + 60
    while len(list((tmp_path / "files.partial").glob("*/[!.]*"))) < 5 and time.monotonic() < deadline:
        time.sleep(0.001)
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert not (tmp_path / "files").exists()
    assert 5 <= len(list((tmp_path / "files.partial" / "itemsTr").glob("[!.]*"))) < 150
    export_pool(pool, tmp_path / "files", "npz", progress=False)
    export_pool(pool, tmp_path / "undisturbed", "npz", progress=False)
    assert content(tmp_path / "files") == content(tmp_path / "undisturbed")
    assert not (tmp_path / "files.partial").exists()


def test_an_import_continues(tmp_path: Path, coloured: SamplePool) -> None:
    datalist = export_pool(coloured, tmp_path / "files", "npz", progress=False)
    with pytest.raises(RuntimeError, match="not now"):
        build_pool(_Breaking(), PLAN, tmp_path / "again", seed=3, block_size=2, progress=False)
    assert (tmp_path / "again.partial").is_dir()
    assert_same(import_pool(datalist, tmp_path / "again", progress=False), coloured)
    assert_same(import_pool(datalist, tmp_path / "again", progress=False), coloured)


class _Breaking(Coloured):
    """Breaks after two calls."""

    calls = 0

    def _generate(self, seeds: list[int], classes: list[int] | None, truncation: float) -> Samples:
        self.calls += 1
        if self.calls > 2:
            raise RuntimeError("not now")
        return super()._generate(seeds, classes, truncation)


@pytest.mark.parametrize("place", ["files", "files.partial"])
def test_folders_of_others_are_left_alone(tmp_path: Path, coloured: SamplePool, place: str) -> None:
    (tmp_path / place).mkdir()
    (tmp_path / place / "notes.txt").write_text("mine")
    with pytest.raises(ValueError, match=rf"{place} (exists already and is not empty|holds something else)"):
        export_pool(coloured, tmp_path / "files", "png", progress=False)
    assert content(tmp_path / place) == {"notes.txt": b"mine"}
    assert not (tmp_path / ".files.lock").exists()


def test_the_start_of_another_export_is_left_alone(tmp_path: Path, coloured: SamplePool, exported: Path) -> None:
    exported.parent.rename(tmp_path / "files.partial")
    before = content(tmp_path / "files.partial")
    other = build(tmp_path / "other", Coloured(), {"ill": 3})
    for pool, file_format in ((other, "png"), (coloured, "npz")):
        with pytest.raises(ValueError, match=r"files\.partial holds something else than the start of this export"):
            export_pool(pool, tmp_path / "files", file_format, progress=False)  # type: ignore[arg-type]
    assert content(tmp_path / "files.partial") == before


def test_an_empty_folder_is_used(tmp_path: Path, coloured: SamplePool) -> None:
    (tmp_path / "files").mkdir()
    assert export_pool(coloured, tmp_path / "files", "npz", progress=False).is_file()


def test_what_cannot_be_exported_writes_nothing(tmp_path: Path, coloured: SamplePool) -> None:
    before = content(tmp_path)
    with pytest.raises(ValueError, match="nifti files cannot hold 'image' with 3 channels"):
        export_pool(coloured, tmp_path / "files", progress=False)
    with pytest.raises(ValueError, match="missing is not a folder"):
        export_pool(coloured, tmp_path / "missing" / "files", "png", progress=False)
    assert content(tmp_path) == before


def test_two_exports_into_one_folder(tmp_path: Path, coloured: SamplePool) -> None:
    with (
        FileLock(tmp_path / ".files.lock"),
        pytest.raises(RuntimeError, match=r"another process is writing .*files: it holds .*\.files\.lock"),
    ):
        export_pool(coloured, tmp_path / "files", "png", progress=False)
    assert not (tmp_path / "files.partial").exists()
    assert export_pool(coloured, tmp_path / "files", "png", progress=False).is_file()


def test_missing_files_are_named(tmp_path: Path, exported: Path) -> None:
    (exported.parent / "imagesTr" / "synthetic_000002.png").unlink()
    with pytest.raises(FileNotFoundError, match=r"1 of 6 files are missing: .*synthetic_000002\.png"):
        import_pool(exported, tmp_path / "again", progress=False)
    (exported.parent / "SHA256SUMS").unlink()
    with pytest.raises(FileNotFoundError, match=r"2 of 6 files are missing: .*SHA256SUMS"):
        import_pool(exported, tmp_path / "again", progress=False)
    with pytest.raises(FileNotFoundError, match=r"nothing\.json is no data list"):
        import_pool(tmp_path / "nothing.json", tmp_path / "again", progress=False)
    assert not list(tmp_path.glob("again*"))


def test_changed_files_are_named(tmp_path: Path, exported: Path) -> None:
    files = exported.parent / "imagesTr"
    shutil.copy(files / "synthetic_000001.png", files / "synthetic_000002.png")  # a sound picture, but another one
    (files / "synthetic_000003.png").write_bytes(b"")
    with pytest.raises(ValueError, match=r"2 of 5 files are damaged or were changed: .*000002\.png, .*000003\.png$"):
        import_pool(exported, tmp_path / "again", progress=False)
    assert not list(tmp_path.glob("again*"))


def test_another_pool_in_the_folder_is_refused(tmp_path: Path, coloured: SamplePool, exported: Path) -> None:
    with pytest.raises(ValueError, match=r"holds another pool: \['dtype'\] differ"):
        import_pool(exported, coloured.folder, progress=False)


def test_a_pool_of_a_shipped_bundle(tmp_path: Path) -> None:
    generator = load_generator("chest_xray_cgan")
    pool = build(tmp_path / "pool", generator, {"normal": 1, "pneumonia": 1})
    datalist = export_pool(pool, tmp_path / "files", "png", progress=False)
    pixels = np.asarray(Image.open(tmp_path / "files" / "imagesTr" / "synthetic_000001.png"))
    expected = generator.sample([pool.record.item_seed(1)], "pneumonia")["image"][0, 0]
    np.testing.assert_allclose(pixels, expected * 255, atol=0.5 + 0.03)
    listed = json.loads(datalist.read_text())
    assert [entry["label"] for entry in listed["training"]] == [0, 1]
    assert listed["labels"] == {"0": "normal", "1": "pneumonia"}
    assert listed["licence"] == "CC-BY-4.0"
    assert listed["generator"] == generator.spec.to_dict()
    found = import_pool(datalist, tmp_path / "again", progress=False)
    assert_same(found, build(tmp_path / "8 bits", generator, {"normal": 1, "pneumonia": 1}, dtype="uint8"))
