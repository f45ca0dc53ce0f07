# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""How near synthetic images are to real ones, in features that do not come from the judge of their classes."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from monai_genaug.experiments.image_quality import NEIGHBOURS, class_mixture, compared_count, random_subset
from monai_genaug.experiments.real_parts import RealParts
from monai_genaug.metrics import FEATURE_METRICS, feature_metric_values

__all__ = ["ALL", "SYNTHETIC", "TRAINING", "FeatureQuality", "FeatureRow", "measure_features"]

ALL = "all"
SYNTHETIC, TRAINING = "synthetic", "training"

_VERSION = 1


@dataclass(frozen=True)
class FeatureRow:
    """Figures of a set of images beside real test images.

    Args:
        scope: name of the class; ``"all"`` for all together.
        images: ``"synthetic"``, or ``"training"`` for real training images, what a perfect generator reaches.
        count: such images.
        n_test: test images.
        values: metric of :data:`FEATURE_METRICS` -> value.
    """

    scope: str
    images: str
    count: int
    n_test: int
    values: Mapping[str, float]

    def __post_init__(self) -> None:
        if set(self.values) != set(FEATURE_METRICS):
            raise ValueError(f"values are those of {sorted(self.values)}, needed: {sorted(FEATURE_METRICS)}.")


@dataclass(frozen=True)
class FeatureQuality:
    """Figures of all images, and of each class.

    Args:
        extractor: name of the features.
        rows: two of each scope, synthetic first; the scope ``"all"`` first.
    """

    extractor: str
    rows: tuple[FeatureRow, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain values; the inverse of :meth:`from_dict`."""
        return {"version": _VERSION, "extractor": self.extractor, "rows": [dataclasses.asdict(r) for r in self.rows]}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> FeatureQuality:
        """Builds the record from what :meth:`to_dict` returned.

        Raises:
            ValueError: another version.
        """
        if values["version"] != _VERSION:
            raise ValueError(f"the figures have version {values['version']}, needed: {_VERSION}.")
        return cls(values["extractor"], tuple(FeatureRow(**row) for row in values["rows"]))


def measure_features(
    parts: RealParts,
    synthetic: Mapping[int | None, Tensor],
    classes: Mapping[int, str] | None,
    extractor: Callable[[Tensor], Tensor],
    name: str,
) -> FeatureQuality:
    """Compares synthetic images, and equally many real training images, with the test part.

    Classes with too few test images for the metrics' neighbours are left out.

    Args:
        parts: the real images.
        synthetic: class id (None: without classes) -> uint8 images, as many as :func:`needed_samples` says.
        classes: class id -> name; None for a generator without classes.
        extractor: images ``(n, c, *spatial)`` in [0, 1] -> features ``(n, d)``.
        name: of the extractor.
    """
    count = compared_count(parts)
    made = synthetic[None][:count] if classes is None else _as_in_training(parts, synthetic)
    rows = _rows(ALL, random_subset(parts.test.images, count), parts.train.images, made, extractor)
    for number, title in (classes or {}).items():
        count = compared_count(parts, number)
        if count > NEIGHBOURS:
            real, training = random_subset(parts.test.of_class(number), count), parts.train.of_class(number)
            rows += _rows(title, real, training, synthetic[number][:count], extractor)
    return FeatureQuality(name, tuple(rows))


def _as_in_training(parts: RealParts, synthetic: Mapping[int | None, Tensor]) -> Tensor:
    return torch.cat([synthetic[number][:count] for number, count in class_mixture(parts).items()])


def _rows(
    scope: str, real: Tensor, training: Tensor, made: Tensor, extractor: Callable[[Tensor], Tensor]
) -> list[FeatureRow]:
    sets = {SYNTHETIC: made, TRAINING: random_subset(training, len(made))}
    reference = extractor(_unit(real))
    rows = []
    for images, chosen in sets.items():
        values = feature_metric_values(reference, extractor(_unit(chosen)), FEATURE_METRICS)
        rows.append(FeatureRow(scope, images, len(chosen), len(real), values))
    return rows


def _unit(images: Tensor) -> Tensor:
    return images.float() / 255.0
