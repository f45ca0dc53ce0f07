# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""A handful of items of each real data set, in the layout of the whole one, for trainings that take seconds."""

from __future__ import annotations

import csv
import json
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np

__all__ = ["small_copy"]

_PER_CLASS = {"train": 12, "val": 2, "test": 2}
_LESIONS_PER_CLASS = 6


def small_copy(data: Path, dataset: str, folder: Path) -> Path:
    """Writes a small copy of a data set.

    Args:
        data: the folder with all data sets.
        dataset: ``spec.provenance.dataset`` of a shipped bundle.
        folder: is made.

    Returns:
        What a training takes as its ``dataset_dir``.
    """
    folder.mkdir(parents=True)
    if dataset == "HAM10000":
        _small_ham10000(data / "ham10000", folder)
    elif dataset.startswith("Medical Segmentation Decathlon"):
        return data / "Task04_Hippocampus"  # a config of a few files, see small_split
    else:
        _small_medmnist(data / "medmnist" / f"{dataset.lower()}.npz", folder)
    return folder


def small_split(split: Path, folder: Path) -> Path:
    """Writes the first volumes of every part of a split."""
    parts = json.loads(split.read_text())
    path = folder / "split.json"
    path.write_text(json.dumps({part: parts[part][:count] for part, count in (("train", 4), ("val", 2), ("test", 2))}))
    return path


def _small_medmnist(source: Path, folder: Path) -> None:
    arrays = {}
    with np.load(source) as whole:
        for part, count in _PER_CLASS.items():
            labels = whole[f"{part}_labels"]
            first = [np.flatnonzero(labels[:, 0] == number)[:count] for number in np.unique(labels)]
            chosen = np.sort(np.concatenate(first))
            arrays[f"{part}_images"], arrays[f"{part}_labels"] = whole[f"{part}_images"][chosen], labels[chosen]
    np.savez(folder / source.name, **arrays)


def _small_ham10000(source: Path, folder: Path) -> None:
    with (source / "metadata.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    lesions, counts, chosen = set(), Counter[str](), []
    for row in rows:  # one image per lesion
        if counts[row["dx"]] < _LESIONS_PER_CLASS and row["lesion_id"] not in lesions:
            chosen.append(row)
            lesions.add(row["lesion_id"])
            counts[row["dx"]] += 1
    with (folder / "metadata.csv").open("w", newline="") as file:
        table = csv.DictWriter(file, list(rows[0]))
        table.writeheader()
        table.writerows(chosen)
    (archive,) = source.glob("*images*.zip")
    wanted = {row["image_id"] for row in chosen}
    with zipfile.ZipFile(archive) as whole, zipfile.ZipFile(folder / "images.zip", "w") as small:
        for name in whole.namelist():
            if Path(name).stem in wanted:
                small.writestr(name, whole.read(name))
