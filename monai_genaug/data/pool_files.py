# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Pools as folders of image files that any tool reads, and back."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from tqdm import tqdm

from monai_genaug.data.image_files import _first_five
from monai_genaug.data.only_writer import _only_writer
from monai_genaug.data.pool_datalist import _datalist_text, _item_classes, _pool_files, _read_datalist
from monai_genaug.data.pool_file_formats import PoolFileFormat, _check_format, _read_pool_file, _write_pool_file
from monai_genaug.generators.base import SampleGenerator, Samples
from monai_genaug.generators.class_labels import ClassLabel
from monai_genaug.generators.pool import SamplePool
from monai_genaug.generators.pool_building import build_pool
from monai_genaug.generators.pool_record import PoolRecord
from monai_genaug.weights import file_sha256

__all__ = ["export_pool", "import_pool"]

_LIST = "datalist.json"
_SUMS = "SHA256SUMS"


def export_pool(
    pool: SamplePool,
    folder: str | os.PathLike[str],
    file_format: PoolFileFormat = "nifti",
    progress: bool = True,
) -> Path:
    """Writes a pool as image files with a data list in the way of the Medical Segmentation Decathlon.

    MONAI's ``load_decathlon_datalist`` reads the list. An item has an ``image``, a ``label`` (its mask; without masks
    the class id, whose name is in the list's ``labels``), its ``seed`` and ``is_synthetic``; beside a mask, the class
    id is ``class``. Outputs of a kind of which there are several go by their own names. The list says that the items
    are synthetic, and carries the generator's spec with licence, warnings and provenance. ``SHA256SUMS`` is for
    ``sha256sum -c``. The formats, and how MONAI gets from them what the pool holds:

    * ``"nifti"``: three axes, or two with one channel. Images are float32, masks have their own type; spacing and
      orientation are the spec's. ``LoadImaged(keys, ensure_channel_first=True)``.
    * ``"png"``: two axes; images with 1 or 3 channels, 0 to 255 for the spec's ``value_range``; masks with labels in
      [0, 255]. Rows are the first axis, as in other pictures, so that a reader turns neither the synthetic nor the real
      ones. ``LoadImaged(keys, reader="PILReader", reverse_indexing=False, ensure_channel_first=True)``; by default,
      MONAI swaps the two axes.
    * ``"npz"``: any shape; one file per item, arrays by the names of the outputs.
      ``LoadImaged("image", reader="NumpyReader", npz_keys="image", channel_dim=0, ensure_channel_first=True)``.

    Until everything is written, it is in ``<folder>.partial``; after a kill, the same call continues there. The empty
    file ``.<folder>.lock`` keeps two processes from doing this at once, and stays.

    Args:
        pool: what to write.
        folder: a new or empty folder, in an existing one.
        file_format: see above.
        progress: show a progress bar.

    Returns:
        The data list's path.

    Raises:
        ValueError: a format that is unknown or cannot hold the pool's outputs, a folder that is not empty, or a
            ``<folder>.partial`` with something else. Nothing is written then.
        RuntimeError: another process is writing the folder.
    """
    folder, record = Path(folder).resolve(), pool.record
    _check_format(file_format, record.generator)
    items, sums = _pool_files(record, file_format), []
    with _partial_folder(folder, _datalist_text(record, file_format)) as partial:
        for number, files in enumerate(tqdm(items, desc=f"export {folder.name}", disable=not progress)):
            for path, names in files.items():
                target = partial / path
                if not target.exists():
                    target.parent.mkdir(exist_ok=True)
                    values = pool[number]
                    _write_pool_file(target, {name: values[name] for name in names}, file_format, record.generator)
                sums.append(f"{file_sha256(target)}  {path}\n")
        _write_text("".join(sums), partial / _SUMS)
    return folder / _LIST


def import_pool(datalist: str | os.PathLike[str], folder: str | os.PathLike[str], progress: bool = True) -> SamplePool:
    """Builds the pool again that :func:`export_pool` wrote, or opens it where it is finished already.

    The generator is not needed. Bytes and identity are those of the exported pool. From PNG files comes the pool that
    ``build_pool(..., dtype="uint8")`` of the same generator makes; only if the exported pool was float16, thus rounded
    before, the hash of the pool's generator is the identity of the exported pool. A killed import continues where it
    was, as :func:`build_pool` does.

    Args:
        datalist: the ``datalist.json`` of the files; its items may have further fields.
        folder: the pool, in an existing folder.
        progress: show a progress bar.

    Raises:
        FileNotFoundError: the list, or files of it, are not there (named).
        ValueError: a list that :func:`export_pool` did not write, or whose items were changed; files that are damaged
            or were changed (named); a ``folder`` with something else. Nothing is written then.
    """
    path = Path(datalist).expanduser().resolve()
    record, file_format = _read_datalist(path)
    items = _pool_files(record, file_format)
    _check_files(path.parent, [name for files in items for name in files])
    if file_format == "png":
        record = _as_8_bits(record)
    return build_pool(
        _FileGenerator(path.parent, record, file_format, items),
        _plan(record),
        folder,
        record.seed,
        record.truncation,
        record.block_size,
        dtype=record.dtype,
        progress=progress,
    )


class _FileGenerator(SampleGenerator):
    """Finds the item of a (seed, class) of a pool in its files."""

    def __init__(
        self, root: Path, record: PoolRecord, file_format: PoolFileFormat, items: Sequence[Mapping[str, Sequence[str]]]
    ) -> None:
        super().__init__(record.generator)
        self._root, self._format = root, file_format
        self._items = {
            (record.item_seed(number), class_id): items[number] for number, class_id in enumerate(_item_classes(record))
        }

    def _generate(self, seeds: list[int], classes: list[int] | None, truncation: float) -> Samples:
        numbers: Sequence[int | None] = classes or [None] * len(seeds)
        found = [self._read(seed, number) for seed, number in zip(seeds, numbers, strict=True)]
        return {name: torch.stack([item[name] for item in found]) for name in self._spec.outputs}

    def _read(self, seed: int, class_id: int | None) -> Samples:
        item: Samples = {}
        for path, names in self._items[seed, class_id].items():
            arrays = _read_pool_file(self._root / path, names, self._format, self._spec)
            item.update({name: torch.from_numpy(array.copy()) for name, array in arrays.items()})
        return item


def _plan(record: PoolRecord) -> int | dict[ClassLabel, int]:
    """The plan as :func:`build_pool` takes it."""
    counts: dict[ClassLabel, int] = {number: count for number, count in record.plan if number is not None}
    return counts or record.count


def _as_8_bits(record: PoolRecord) -> PoolRecord:
    """The pool that its PNG files hold."""
    generator = record.generator.replace(sha256=record.identity) if record.dtype == "float16" else record.generator
    return dataclasses.replace(record, generator=generator, dtype="uint8")


@contextmanager
def _partial_folder(folder: Path, datalist: str) -> Iterator[Path]:
    """A folder with the data list, to be filled, which becomes ``folder`` when all went well and stays otherwise."""
    partial, path = folder.with_name(f"{folder.name}.partial"), folder.with_name(f".{folder.name}.lock")
    _check_free(folder, partial, datalist)
    with _only_writer(folder, path):
        _check_free(folder, partial, datalist)  # another process may have been faster
        if not (partial / _LIST).is_file():
            partial.mkdir(exist_ok=True)
            _write_text(datalist, partial / _LIST)
        yield partial
        partial.replace(folder)


def _check_free(folder: Path, partial: Path, datalist: str) -> None:
    """Whether the export may start, or continue: what it has begun is recognised by the data list."""
    if not folder.parent.is_dir():
        raise ValueError(f"{folder.parent} is not a folder.")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ValueError(f"{folder} exists already and is not empty: delete it or use another.")
    if not partial.exists():
        return
    found = {path.name for path in partial.iterdir()} if partial.is_dir() else {partial.name}
    begun = _LIST in found and (partial / _LIST).read_bytes() == datalist.encode()
    if not begun and found - {f".{_LIST}"}:
        raise ValueError(f"{partial} holds something else than the start of this export: delete it or use another.")


def _write_text(text: str, path: Path) -> None:
    temporary = path.with_name(f".{path.name}")
    temporary.write_bytes(text.encode())
    temporary.replace(path)


def _check_files(root: Path, names: Sequence[str]) -> None:
    """Whether all files are there and have the hashes that were written with them."""
    missing = [root / name for name in (*names, _SUMS) if not (root / name).is_file()]
    if missing:
        raise FileNotFoundError(f"{len(missing)} of {len(names) + 1} files are missing: {_first_five(missing)}")
    lines = (root / _SUMS).read_text(encoding="utf-8").splitlines()
    sums = {name: checksum for checksum, _, name in (line.partition("  ") for line in lines)}
    damaged = [root / name for name in names if file_sha256(root / name) != sums.get(name)]
    if damaged:
        raise ValueError(f"{len(damaged)} of {len(names)} files are damaged or were changed: {_first_five(damaged)}")
