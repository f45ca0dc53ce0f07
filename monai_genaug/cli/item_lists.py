# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Items that a command is given: folders, data lists, tables."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from monai.utils import convert_to_tensor
from tqdm import tqdm

from monai_genaug.data import class_folder_items, decathlon_items, image_table_items, medmnist_items, medmnist_names
from monai_genaug.generators import SampleGenerator, resolve_class_labels
from monai_genaug.quality import AuditItems

__all__ = ["SOURCES", "ItemKeys", "listed_items", "preprocessed_items"]

SOURCES = (
    "folder of images or class folders, Decathlon folder, folder with datalist.json, list x.json#part, table x.csv, "
    "MedMNIST file x.npz#part"
)
"""For help texts."""

Item = dict[str, Any]


@dataclass(frozen=True)
class ItemKeys:
    """Keys of a data list, or columns of a table.

    Args:
        image: of the image.
        label: of the class; by its name, or by the generator's own id.
        mask: of the mask.
        subject: of the subject; of a folder of images a regular expression with one group, searched in the path. None
            for what a reader finds by itself.
    """

    image: str = "image"
    label: str = "label"
    mask: str = "label"
    subject: str | None = None


def listed_items(source: str, keys: ItemKeys, root: Path | None = None) -> list[Item]:
    """The items that a command is given.

    Args:
        source: one of :data:`SOURCES`; ``#part`` chooses a list of a JSON file that has several.
        keys: where an item names what.
        root: what relative paths of a list lie below; None for its own folder.

    Returns:
        Items with ``image`` (path or array) and, where they are known, ``label``, ``mask`` and ``subject``.

    Raises:
        ValueError: a list that is none, a part that does not exist, or what the readers refuse.
        FileNotFoundError: no such file or folder.
    """
    name, _, part = source.partition("#")
    path = Path(name).expanduser()
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist, needed: {SOURCES}.")
    if path.is_dir() and (path / "dataset.json").is_file():
        return [_known(item, ItemKeys()) for item in decathlon_items(path)]
    if path.is_dir() and (path / "datalist.json").is_file():
        return listed_items(f"{path / 'datalist.json'}#{part or 'training'}", keys, root)
    if path.is_dir():
        return [_of_folder(item, keys) for item in class_folder_items(path, keys.subject)]
    if path.suffix == ".json":
        return [_of_list(item, i, keys, root or path.parent) for i, item in enumerate(_json_items(path, part))]
    if path.suffix in (".csv", ".tsv"):
        return _table_items(path, keys, root or path.parent)
    if path.suffix == ".npz" and path.stem in medmnist_names():
        items = medmnist_items(path.stem, path.parent, part)
        return [{"image": item["image"], "label": item["label"]} for item in items]
    raise ValueError(f"{path} is none of these: {SOURCES}.")


def preprocessed_items(generator: SampleGenerator, items: Sequence[Item], title: str) -> AuditItems:
    """Items in a generator's space, with a progress bar.

    Masks are read if the generator's encoder needs them and every item has one; labels for a generator with classes.

    Args:
        generator: its ``preprocessing`` is applied.
        items: as :func:`listed_items` returns them.
        title: of the progress bar and in errors.

    Raises:
        ValueError: no items, an item that cannot be read, or one without a class or of an unknown one (named).
    """
    spec = generator.spec
    if not items:
        raise ValueError(f"{title} has no items.")
    names = [name for name, output in spec.outputs.items() if output.kind == "image"][:1]
    names += [name for name in spec.encodes if name not in names and all("mask" in item for item in items)]
    keys = ["image", "mask"][: len(names)]
    read = {load: generator.preprocessing(keys, load=load, outputs=names) for load in (False, True)}
    outputs: dict[str, list[torch.Tensor]] = {name: [] for name in names}
    labels = []
    for index, item in enumerate(tqdm(items, desc=f"read {title}", unit="item")):
        try:
            loaded = read[isinstance(item["image"], (str, os.PathLike))]({key: item[key] for key in keys})
            if spec.classes is not None:
                labels += resolve_class_labels(item.get("label"), 1, spec) or []
        except (RuntimeError, ValueError) as error:
            raise ValueError(f"item {index} of {title}: {error.__cause__ or error}") from error
        for name, key in zip(names, keys, strict=True):
            outputs[name].append(convert_to_tensor(loaded[key], track_meta=False))
    subjects = [str(item["subject"]) for item in items if "subject" in item]
    return AuditItems(
        {name: torch.stack(values) for name, values in outputs.items()},
        None if spec.classes is None else torch.tensor(labels),
        subjects if len(subjects) == len(items) else None,
    )


def _known(item: Mapping[str, Any], keys: ItemKeys) -> Item:
    """What an item has, under our own keys."""
    named = {"image": keys.image, "label": keys.label, "mask": keys.mask, "subject": keys.subject or "subject"}
    return {name: item[key] for name, key in named.items() if key in item}


def _of_folder(item: Mapping[str, Any], keys: ItemKeys) -> Item:
    """An item of class folders or of a table: the class by its name, the subject if it was asked for."""
    known: Item = {"image": item["image"]}
    if "class_name" in item:
        known["label"] = item["class_name"]
    return known if keys.subject is None else {**known, "subject": item["subject"]}


def _of_list(item: Any, index: int, keys: ItemKeys, root: Path) -> Item:
    if not isinstance(item, Mapping) or keys.image not in item:
        raise ValueError(f"item {index} has no {keys.image!r}: {str(item)[:100]}.")
    if keys.subject is not None and keys.subject not in item:
        raise ValueError(f"item {index} has no {keys.subject!r}, but {sorted(map(str, item))}.")
    known = _known(item, keys)
    for name in ("image", "mask"):
        if isinstance(known.get(name), str):
            known[name] = str(root / known[name])
    return known


def _json_items(path: Path, part: str) -> list[Any]:
    try:
        content = json.loads(path.read_text())
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is no JSON file: {error}.") from error
    if isinstance(content, list) and not part:
        return content
    named = content if isinstance(content, dict) else {}
    lists = {name: value for name, value in named.items() if isinstance(value, list)}
    if part not in lists:
        allowed = ", ".join(f"{path}#{name}" for name in lists) or "a file with a list of items"
        raise ValueError(f"{path}{'#' + part if part else ''} is no list of items, allowed: {allowed}.")
    return list(lists[part])


def _table_items(path: Path, keys: ItemKeys, root: Path) -> list[Item]:
    separator = "\t" if path.suffix == ".tsv" else ","
    with path.open(encoding="utf-8-sig") as file:
        columns = [column.strip().strip('"') for column in file.readline().split(separator)]
    label = keys.label if keys.label in columns else None
    items = image_table_items(path, root, keys.image, label, keys.subject)
    return [_of_folder(item, keys) for item in items]
