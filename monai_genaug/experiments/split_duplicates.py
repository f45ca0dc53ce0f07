# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Counts the duplicates in real data sets and writes them into the page about leaks.

``python -m monai_genaug.experiments.split_duplicates --data-dir $GENAUG_DATA --work-dir runs/leakage``

Needs ``medmnist/<name>.npz`` in the data folder, and takes ``ham10000`` into account where it is there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from PIL import Image
from torch import Tensor

from monai_genaug.data import ham10000_items, medmnist_items, medmnist_names
from monai_genaug.experiments.altered_copies import altered_distances, altered_section
from monai_genaug.experiments.bundle_leakage import PARTS, bundle_leakage, leakage_section
from monai_genaug.experiments.card_text import insert_measured
from monai_genaug.experiments.flipped_labels import find_flipped_labels, flipped_section
from monai_genaug.experiments.stages import stage_key, stored_json
from monai_genaug.quality import DuplicateReport, find_duplicates

__all__ = ["duplicate_section", "lesion_counts", "measure_split_duplicates", "medmnist_duplicates"]

_BANDS = (0.0, 0.05, 0.1, 0.12, 0.15)
_EXAMPLES = ("pneumoniamnist", "breastmnist")
_MOST_LABELLED = 1000
_MOST_ALTERED = 300


def medmnist_duplicates(folder: Path, progress: bool = True) -> dict[str, DuplicateReport]:
    """Duplicates within and between the official parts of the MedMNIST files in a folder.

    Returns:
        Name of the set -> what was found.
    """
    reports = {}
    for name in medmnist_names():
        if (folder / f"{name}.npz").is_file():
            parts = {part: [item["image"] for item in medmnist_items(name, folder, part)] for part in PARTS}
            reports[name] = find_duplicates(parts, progress=progress)
    return reports


def lesion_counts(items: Sequence[Mapping[str, Any]], progress: bool = True) -> list[tuple[int, int]]:
    """How many pairs of images at a distance show one lesion.

    Args:
        items: paths of RGB images under ``"image"``, lesions under ``"subject"``.
        progress: show progress bars.

    Returns:
        For the distances 0 to 0.05, to 0.1, to 0.12 and to 0.15: pairs, and pairs of one lesion.
    """
    report = find_duplicates({"all": _Pictures(items)}, near=_BANDS[-1], progress=progress)
    counts = []
    for low, high in pairwise(_BANDS):
        pairs = [pair for pair in report.pairs if low <= pair.distance <= high and (pair.distance > low or low == 0)]
        same = sum(items[pair.first[1]]["subject"] == items[pair.second[1]]["subject"] for pair in pairs)
        counts.append((len(pairs), same))
    return counts


def measure_split_duplicates(
    data_dir: Annotated[Path, typer.Option(help="folder of data sets")],
    page: Annotated[Path, typer.Option(help="Markdown with the two marks")] = Path("docs/results/duplicates.md"),
    work_dir: Annotated[Path, typer.Option(help="keeps extracted images and finished stages")] = Path("runs/leakage"),
) -> None:
    """Measures and writes the page's tables."""
    medmnist = data_dir / "medmnist"
    reports = medmnist_duplicates(medmnist)
    examples = {name: medmnist_items(name, medmnist, "train") for name in _EXAMPLES if name in reports}
    altered = {
        name: altered_distances([torch.from_numpy(item["image"]) for item in items[:_MOST_ALTERED]])
        for name, items in examples.items()
    }
    flipped = [
        find_flipped_labels(name, items[:_MOST_LABELLED], method)
        for name, items in examples.items()
        for method in ("logistic", "neighbours")
    ]
    sections = [duplicate_section(reports)]
    if (data_dir / "ham10000").is_dir():
        work_dir.mkdir(parents=True, exist_ok=True)
        items = ham10000_items(data_dir / "ham10000", work_dir / "ham_images")
        key = stage_key(_BANDS, [[Path(item["image"]).name, item["subject"]] for item in items])
        counts = stored_json(work_dir / f"lesions_{key}.json", lambda: lesion_counts(items))
        sections.append(_lesion_section(len(items), counts))
    sections += [
        "Altered copies of 300 training images: share within 0.1, and median and 95 % quantile of the distance.",
        altered_section(altered),
        "### Training items of the shipped generators among the official parts",
        leakage_section(bundle_leakage(medmnist)),
        "### Flipped labels that are found",
        flipped_section(flipped),
    ]
    insert_measured(page, "\n\n".join(sections))


def duplicate_section(reports: Mapping[str, DuplicateReport]) -> str:
    """Markdown: for every set the pairs of every two parts."""
    titles = [f"within {a}" if a == b else f"{a} and {b}" for i, a in enumerate(PARTS) for b in PARTS[i:]]
    lines = [
        "### Duplicates in official files",
        "",
        "Pairs of equal images + pairs of nearly equal ones (distance up to 0.1), how many test images have such a "
        "counterpart in\nthe other parts, and quantiles of the distance of an image to the nearest one that is not "
        "equal.",
        "",
        f"| | {' | '.join(titles)} | test images concerned | distance: smallest | 1 % | median |",
        "|---|" + "---|" * (len(titles) + 4),
    ]
    for name, report in reports.items():
        cells = [
            f"{len(report.between(a, b, 'exact'))} + {len(report.between(a, b, 'near'))}"
            for i, a in enumerate(PARTS)
            for b in PARTS[i:]
        ]
        cells.append(f"{_concerned(report)} of {report.sizes['test']}")
        distances = [f"{report.nearest[quantile]:.3f}" for quantile in (0.0, 0.01, 0.5)]
        lines.append(f"| {name} | {' | '.join([*cells, *distances])} |")
    return "\n".join(lines)


def _concerned(report: DuplicateReport) -> int:
    """Test images with a counterpart in another part."""
    pairs = [*report.between("train", "test"), *report.between("val", "test")]
    return len({name for pair in pairs for name in (pair.first, pair.second) if name[0] == "test"})


def _lesion_section(n_items: int, counts: Sequence[Sequence[int]]) -> str:
    lines = [
        "### Which distance is near",
        "",
        f"Pairs of the {n_items} images of HAM10000, which says which images show one lesion.",
        "",
        "| distance | pairs | of one lesion |",
        "|---|---|---|",
    ]
    for (low, high), (pairs, same) in zip(pairwise(_BANDS), counts, strict=True):
        lines.append(f"| {low:g} to {high:g} | {pairs} | {same} |")
    return "\n".join(lines)


class _Pictures(Sequence[Tensor]):
    """RGB pictures, read when asked for, ``(3, height, width)`` uint8."""

    def __init__(self, items: Sequence[Mapping[str, Any]]) -> None:
        self.items = items

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: Any) -> Any:
        with Image.open(self.items[index]["image"]) as picture:
            return torch.from_numpy(np.array(picture.convert("RGB"))).permute(2, 0, 1)


if __name__ == "__main__":
    typer.run(measure_split_duplicates)
