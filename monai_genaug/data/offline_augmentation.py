# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Augmented copies of a data set on disk, made once before training."""

from __future__ import annotations

import copy
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
from monai.config import KeysCollection
from monai.data.utils import set_rnd
from monai.utils import ensure_tuple
from torch import Tensor
from tqdm import tqdm

from monai_genaug.data.augmented_files import _read_volume, _write_volume
from monai_genaug.data.image_files import _first_five
from monai_genaug.data.only_writer import _only_writer
from monai_genaug.generators.seeding import derive_seed

__all__ = ["read_augmented", "write_augmented"]

Volume = Literal["half", "same", "double"]
Item = dict[str, Any]

_FILE = "datalist.json"
_FORMAT = "monai_genaug.augmented/1"
_OWN_FIELDS = ("source", "augmented")


def write_augmented(
    items: Sequence[Mapping[str, Any]],
    folder: str | os.PathLike[str],
    transform: Callable[[Any], Any],
    volume: Volume = "double",
    keys: KeysCollection = ("image",),
    mask_keys: KeysCollection = (),
    seed: int = 0,
    progress: bool = True,
) -> list[Item]:
    """Applies a random transform to the items of a data set and writes what comes out, as a new data set.

    ``volume`` says how large it is, compared with the original one of n items:

    * ``"half"``: the items 0, 2, 4, ... augmented, no originals: n/2, rounded up;
    * ``"same"``: every item augmented, no originals: n;
    * ``"double"``: every original, then every item augmented: 2n.

    2D images become PNG files with 8 bits and rows first, volumes NIfTI files with the affine of their ``MetaTensor``.
    ``datalist.json`` lists them in the way of the Decathlon, with paths relative to the folder; every entry has the
    item's other fields, its number as ``source``, and ``augmented``. An augmented item is a function of the item, its
    number, ``transform`` and ``seed``.

    The folder appears when it is complete. A run that was killed leaves ``<folder>.augmenting``, which the next one
    removes before it starts again.

    Args:
        items: dictionaries with paths, or channel-first arrays or tensors, under ``keys`` and ``mask_keys``.
        folder: a new folder in an existing one.
        transform: of dictionaries, such as :func:`classical_recipe`. It gets the item with channel-first tensors:
            2D images in [0, 1] (those of 8 or 16 bits are divided by their largest value), volumes with their own
            intensities, masks as they are. It is copied, and seeded for each item.
        volume: see above.
        keys: of the images.
        mask_keys: of the masks.
        seed: in [0, 2^63).
        progress: show a progress bar.

    Returns:
        :func:`read_augmented` of the folder.

    Raises:
        FileNotFoundError: files that items name and that are not there.
        RuntimeError: another process is writing the folder.
        ValueError: an argument that is not allowed, a folder that exists, a field that JSON cannot hold, a file under
            a key that is in neither ``keys`` nor ``mask_keys``, or images that cannot be read or written. The text
            names it, and nothing is left behind.
    """
    folder = Path(folder).resolve()
    image_keys, all_keys = ensure_tuple(keys), (*ensure_tuple(keys), *ensure_tuple(mask_keys))
    if volume not in get_args(Volume):
        raise ValueError(f"volume is {volume!r}, allowed: {get_args(Volume)}.")
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**63:
        raise ValueError(f"seed is {seed!r}, allowed: integers in [0, 2^63).")
    if not callable(transform):
        raise ValueError(f"transform is {transform!r}, allowed: something to call with an item.")
    _check_keys(image_keys, all_keys)
    fields = [_fields(item, number, all_keys) for number, item in enumerate(items)]
    _check_files(items, all_keys)
    with _new_folder(folder) as partial:
        entries = []
        plan = _plan(len(items), volume)
        own = copy.deepcopy(transform)
        for number, augmented in tqdm(plan, desc=f"augment {folder.name}", disable=not progress):
            made = _volumes(items[number], number, image_keys, all_keys)
            if augmented:
                made = _augmented(own, {**items[number], **made}, derive_seed("offline augmentation", seed, number))
            paths = _written(made, number, augmented, partial, image_keys, all_keys)
            entries.append({**fields[number], **paths, "source": number, "augmented": augmented})
        record = {"format": _FORMAT, "volume": volume, "seed": seed, "keys": list(all_keys)}
        (partial / _FILE).write_text(json.dumps({**record, "numTraining": len(entries), "training": entries}, indent=1))
    return read_augmented(folder)


def read_augmented(folder: str | os.PathLike[str]) -> list[Item]:
    """The items of a folder that :func:`write_augmented` made, with absolute paths.

    Raises:
        FileNotFoundError: no ``datalist.json``, or files that it lists and that are not there (named).
        ValueError: a ``datalist.json`` of another kind.
    """
    root = Path(folder).expanduser().resolve()
    if not (root / _FILE).is_file():
        raise FileNotFoundError(f"{root / _FILE} does not exist: {root} is no folder of augmented items.")
    try:
        content = json.loads((root / _FILE).read_bytes())
        if content["format"] != _FORMAT:
            raise ValueError(f"format is {content['format']!r}, expected {_FORMAT!r}.")
        keys = content["keys"]
        items = [{**entry, **{key: str(root / entry[key]) for key in keys}} for entry in content["training"]]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{root / _FILE} is no list of augmented items: {error!r}") from error
    _check_files(items, keys)
    return items


def _plan(count: int, volume: Volume) -> list[tuple[int, bool]]:
    """(item, whether augmented) of every item to write."""
    originals = [(number, False) for number in range(count)] if volume == "double" else []
    return originals + [(number, True) for number in range(0, count, 2 if volume == "half" else 1)]


def _volumes(item: Mapping[str, Any], number: int, image_keys: Sequence[str], keys: Sequence[str]) -> dict[str, Tensor]:
    volumes = {}
    for key in keys:
        try:
            volumes[key] = _read_volume(item[key], is_mask=key not in image_keys)
        except (ValueError, OSError, RuntimeError) as error:
            raise ValueError(f"{key!r} of item {number} cannot be read: {error}") from error
    return volumes


def _augmented(transform: Callable[[Any], Any], item: Item, seed: int) -> Any:
    """The transformed item; whatever the transform draws comes from the seed, also if it uses torch's global state."""
    set_rnd(transform, seed % 2**32)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return transform(item)


def _written(
    made: Any, number: int, augmented: bool, folder: Path, image_keys: Sequence[str], keys: Sequence[str]
) -> dict[str, str]:
    """Writes the images and masks of one item; key -> path relative to the folder."""
    if not isinstance(made, Mapping) or not set(keys) <= set(made):
        found = sorted(map(str, made)) if isinstance(made, Mapping) else type(made).__name__
        raise ValueError(f"transform made {found} of item {number}, allowed: one dictionary with {list(keys)}.")
    paths = {}
    for key in keys:
        stem = folder / key / f"{number:06d}_{'augmented' if augmented else 'original'}"
        stem.parent.mkdir(exist_ok=True)
        try:
            path = _write_volume(made[key], stem, is_mask=key not in image_keys)
        except ValueError as error:
            raise ValueError(f"{key!r} of item {number} cannot be written: {error}") from error
        paths[key] = path.relative_to(folder).as_posix()
    return paths


@contextmanager
def _new_folder(folder: Path) -> Iterator[Path]:
    """A folder to fill, which becomes ``folder`` when all went well and disappears otherwise."""
    if not folder.parent.is_dir():
        raise ValueError(f"{folder.parent} is not a folder.")
    partial, path = folder.with_name(f"{folder.name}.augmenting"), folder.with_name(f"{folder.name}.lock")
    with _only_writer(folder, path):
        try:
            if folder.exists():
                raise ValueError(f"{folder} exists already: delete it or use another.")
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir()
            try:
                yield partial
                partial.replace(folder)
            finally:
                shutil.rmtree(partial, ignore_errors=True)
        finally:
            with suppress(OSError):  # where open files cannot be removed, the lock file stays
                path.unlink()


def _check_keys(image_keys: Sequence[str], keys: Sequence[str]) -> None:
    bad = [key for key in keys if not isinstance(key, str) or not re.fullmatch(r"[\w-]+", key) or key in _OWN_FIELDS]
    if not image_keys or bad or len(set(keys)) < len(keys):
        raise ValueError(
            f"keys and mask_keys are {tuple(keys)}, allowed: at least one image, no key twice, each of letters, "
            f"digits, _ and -, none of {_OWN_FIELDS}."
        )


def _fields(item: Mapping[str, Any], number: int, keys: Sequence[str]) -> Item:
    """What an item says besides its images, as JSON can hold it."""
    missing = [key for key in keys if key not in item]
    if missing:
        raise ValueError(f"item {number} has the keys {list(item)}, without {missing}.")
    fields = {}
    for key, value in item.items():
        if key in keys:
            continue
        if isinstance(value, (Tensor, np.ndarray, np.generic)):
            value = value.tolist()
        if isinstance(value, (str, os.PathLike)) and os.path.isfile(value):  # noqa: PTH113 - Path's refuses long texts
            raise ValueError(f"{key!r} of item {number} is the file {str(value)!r}: name it in keys or mask_keys.")
        try:
            fields[key] = json.loads(json.dumps(value, allow_nan=False))
        except (TypeError, ValueError) as error:
            raise ValueError(f"{key!r} of item {number} cannot be stored: {error}") from error
    return fields


def _check_files(items: Sequence[Mapping[str, Any]], keys: Sequence[str]) -> None:
    if not items:
        raise ValueError("there are no items.")
    paths = [item[key] for item in items for key in keys if isinstance(item[key], (str, os.PathLike))]
    missing = [path for path in paths if not Path(path).is_file()]
    if missing:
        raise FileNotFoundError(f"{len(missing)} of {len(paths)} files are missing: {_first_five(missing)}")
