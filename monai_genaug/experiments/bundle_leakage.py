# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Which items of the official parts of MedMNIST the shipped generators were trained on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from monai_genaug.data.medmnist import medmnist_items, medmnist_names
from monai_genaug.generators import list_generators, load_generator
from monai_genaug.quality.leakage import LeakageReport, check_leakage

__all__ = ["bundle_leakage", "leakage_section"]

PARTS = ("train", "val", "test")


def bundle_leakage(folder: Path, progress: bool = True) -> dict[str, list[LeakageReport]]:
    """Checks every shipped generator whose data set is in a folder of MedMNIST files.

    Args:
        folder: with ``<name>.npz``.
        progress: show progress bars.

    Returns:
        Name of the generator -> a report for each of the parts train, val and test.
    """
    reports = {}
    for name, spec in list_generators().items():
        dataset = "" if spec.provenance is None else spec.provenance.dataset.lower()
        if dataset in medmnist_names() and (folder / f"{dataset}.npz").is_file():
            generator = load_generator(name)
            reports[name] = [
                check_leakage(generator, medmnist_items(dataset, folder, part), on_overlap="ignore", progress=progress)
                for part in PARTS
            ]
    return reports


def leakage_section(reports: dict[str, list[LeakageReport]]) -> str:
    """Markdown."""
    head = f"| | {' | '.join(PARTS)} |\n|---|{'---|' * len(PARTS)}"
    return "\n".join([head, *(f"| {name} | {_cells(parts)} |" for name, parts in reports.items())])


def _cells(parts: Sequence[LeakageReport]) -> str:
    return " | ".join("unknown" if part.items is None else f"{len(part.items)} of {part.n_items}" for part in parts)
