# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Synthetic images beside real ones that a user has, in features; and real ones beside real ones."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from monai_genaug.data import split_by_subject
from monai_genaug.experiments.feature_card import FEATURE_TITLES
from monai_genaug.experiments.feature_quality import ALL, SYNTHETIC, FeatureQuality, FeatureRow
from monai_genaug.experiments.image_quality import NEIGHBOURS
from monai_genaug.metrics import FEATURE_METRICS, feature_metric_values

__all__ = ["REAL", "ImageFeatures", "RealHalves", "compare_features", "comparison_section", "real_halves"]

REAL = "real"
_LEAST = NEIGHBOURS + 1


@dataclass(frozen=True)
class ImageFeatures:
    """Features of a set of images.

    Args:
        rows: ``(n, d)``.
        classes: name of the class of each; None without classes.
    """

    rows: Tensor
    classes: tuple[str, ...] | None = None

    def __len__(self) -> int:
        return len(self.rows)

    def part(self, places: Sequence[int]) -> ImageFeatures:
        """The images at some places."""
        classes = None if self.classes is None else tuple(self.classes[place] for place in places)
        return ImageFeatures(self.rows[torch.tensor(places, dtype=torch.long)], classes)

    def of_class(self, name: str) -> ImageFeatures:
        """The images of one class."""
        return self.part([place for place, found in enumerate(self.classes or ()) if found == name])


@dataclass(frozen=True)
class RealHalves:
    """Places of real items.

    Args:
        reference: what all sets are compared with.
        others: the real row of the tables; empty where there are too few items for two halves.
    """

    reference: tuple[int, ...]
    others: tuple[int, ...]


def real_halves(
    count: int, classes: Sequence[str] | None = None, subjects: Sequence[Hashable] | None = None, seed: int = 0
) -> RealHalves:
    """Halves of real items at random, each with its share of every class and, if they are known, other subjects.

    Args:
        count: number of items.
        classes: one per item.
        subjects: one per item.
        seed: of the halves.

    Raises:
        ValueError: fewer items than the metrics need.
    """
    if count < _LEAST:
        raise ValueError(f"there are {count} real images, needed: {_LEAST} and more.")
    places = list(range(count))
    names = list(places) if subjects is None else list(subjects)
    try:
        parts = split_by_subject(
            places, names.__getitem__, (0.5, 0.5), seed, None if classes is None else list(classes).__getitem__
        )
    except ValueError:  # too few subjects in all or in a class
        return RealHalves(tuple(places), ())
    if min(map(len, parts)) < _LEAST:
        return RealHalves(tuple(places), ())
    reference, others = parts
    return RealHalves(tuple(reference), tuple(others))


def compare_features(
    real: ImageFeatures,
    halves: RealHalves,
    synthetic: ImageFeatures,
    extractor: str,
    per_class: bool = False,
) -> FeatureQuality:
    """Compares synthetic images, and real ones, with real ones.

    Args:
        real: all real images.
        halves: from :func:`real_halves`.
        synthetic: the synthetic ones.
        extractor: name of the features.
        per_class: also each class; those with too few images for the metrics are left out.

    Raises:
        ValueError: too few synthetic images, classes that are missing or of which none is in both sets, or features
            that a metric refuses.
    """
    if len(synthetic) < _LEAST:
        raise ValueError(f"there are {len(synthetic)} synthetic images, needed: {_LEAST} and more.")
    reference, others = real.part(halves.reference), real.part(halves.others)
    rows = _rows(ALL, reference, {SYNTHETIC: synthetic, REAL: others})
    if per_class:
        if real.classes is None or synthetic.classes is None:
            which = "real" if real.classes is None else "synthetic"
            raise ValueError(f"the {which} images have no classes to compare.")
        names = sorted(set(real.classes) & set(synthetic.classes))
        if not names:
            found = f"{sorted(set(real.classes))} and {sorted(set(synthetic.classes))}"
            raise ValueError(f"the real and the synthetic images have no class in common: {found}.")
        for name in names:
            sets = {SYNTHETIC: synthetic.of_class(name), REAL: others.of_class(name)}
            if min(len(reference.of_class(name)), len(sets[SYNTHETIC])) >= _LEAST:
                rows += _rows(name, reference.of_class(name), sets)
    return FeatureQuality(extractor, tuple(rows))


def comparison_section(quality: FeatureQuality) -> str:
    """Markdown of the table."""
    lines = [
        f"Features: {quality.extractor}. Synthetic images, and other real ones where there are enough, each compared "
        "with the same real images; the row of real images is what a perfect generator reaches.",
        "",
        f"| images | compared | with real | {' | '.join(FEATURE_TITLES.values())} |",
        "|---|---|---|" + "---|" * len(FEATURE_TITLES),
        *(f"| {' | '.join(comparison_cells(row))} |" for row in quality.rows),
        "",
        "Frechet distances of few images are large whatever they show: compare rows of equally many images. KID may be "
        "slightly negative. Vendi: the number of different images that the set is worth.",
    ]
    return "\n".join(lines)


def comparison_cells(row: FeatureRow) -> list[str]:
    """A row of the table as texts."""
    cells = [row.images if row.scope == ALL else f"{row.scope}, {row.images}", str(row.count), str(row.n_test)]
    return cells + [f"{row.values[name]:.{1 if name == 'vendi_score' else 3}f}" for name in FEATURE_TITLES]


def comparison_titles() -> list[str]:
    """Heads of the table's columns."""
    return ["images", "compared", "with real", *FEATURE_TITLES.values()]


def _rows(scope: str, reference: ImageFeatures, sets: dict[str, ImageFeatures]) -> list[FeatureRow]:
    rows = []
    for images, chosen in sets.items():
        if len(chosen) >= _LEAST:
            values = feature_metric_values(reference.rows, chosen.rows, FEATURE_METRICS)
            rows.append(FeatureRow(scope, images, len(chosen), len(reference), values))
    return rows
