# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Are synthetic images of the class that was asked for, and do they cover the real ones? Figures and criteria."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from scipy.stats import binomtest
from torch import Tensor

from monai_genaug.data import plan_counts
from monai_genaug.experiments.classification import classifier_features, predict_classes, recall_per_class
from monai_genaug.experiments.real_parts import RealParts
from monai_genaug.metrics import density_and_coverage, frechet_distance
from monai_genaug.networks.medmnist_cnn import MedMNISTCNN

__all__ = [
    "ClassQuality",
    "ImageQuality",
    "SetQuality",
    "class_mixture",
    "compared_count",
    "measure_images",
    "needed_samples",
    "random_subset",
]

SAMPLES_PER_CLASS = 500
COMPARED = 1000
"""Real test images, and synthetic images beside them, that coverage and distances are taken of, at most."""
NEIGHBOURS = 5
RECALL_RATIO = 0.8
COVERAGE_RATIO = 0.5

Synthetic = Mapping[int | None, Tensor]
"""Class id (None: without classes) -> uint8 images ``(n, c, *spatial)``."""


@dataclass(frozen=True)
class ClassQuality:
    """Figures of one class; shares in [0, 1].

    Args:
        name: of the class.
        n_train, n_test: real images of it.
        recall_real: share of its real test images that the judge recognises.
        recall_synthetic: the same of its synthetic images.
        lower_bound: lower end of the 95 % confidence interval of ``recall_synthetic`` (Clopper and Pearson).
        chance: recall of a judge that guesses, 1 / number of classes.
        coverage: of the real test images of the class; None with too few of them.
        coverage_real: what equally many real training images of the class reach.
    """

    name: str
    n_train: int
    n_test: int
    recall_real: float
    recall_synthetic: float
    lower_bound: float
    chance: float
    coverage: float | None
    coverage_real: float | None

    @property
    def ratio(self) -> float | None:
        """Recall of synthetic over that of real images; None where the judge recognises no real one."""
        return self.recall_synthetic / self.recall_real if self.recall_real else None

    @property
    def passes(self) -> bool:
        """Whether the judge recognises synthetic images nearly as well as real ones, and better than by guessing."""
        return self.recall_synthetic >= RECALL_RATIO * self.recall_real and self.lower_bound > self.chance


@dataclass(frozen=True)
class SetQuality:
    """Figures of all classes together, as frequent as in the training part, in the features of the judge.

    Args:
        compared: synthetic images, and real training images beside them.
        n_test: real test images that they are compared with.
        coverage, density: of the test images by synthetic images.
        coverage_real, density_real: by equally many real training images.
        frechet, frechet_real: Frechet distances of both to the test images.
        nearest, nearest_real: median distance (RMSE of intensities in [0, 1]) of synthetic images, and of test images,
            to the nearest training image.
    """

    compared: int
    n_test: int
    coverage: float
    coverage_real: float
    density: float
    density_real: float
    frechet: float
    frechet_real: float
    nearest: float
    nearest_real: float

    @property
    def nearest_ratio(self) -> float | None:
        """Distance to training images over that of test images; well below 1 means copies, or smooth images."""
        return self.nearest / self.nearest_real if self.nearest_real else None

    @property
    def passes(self) -> bool:
        """Whether synthetic images cover at least half of what real ones cover."""
        return self.coverage >= COVERAGE_RATIO * self.coverage_real


@dataclass(frozen=True)
class ImageQuality:
    """What was measured of a generator.

    Args:
        name, sha256: of the generator.
        n_train, n_val, n_test: real images.
        judge_steps: of the judge's training; 0 for a network with random weights.
        classes: one per class; empty for a generator without classes.
        whole: of all images.
    """

    name: str
    sha256: str
    n_train: int
    n_val: int
    n_test: int
    judge_steps: int
    classes: tuple[ClassQuality, ...]
    whole: SetQuality

    @property
    def is_conditional(self) -> bool | None:
        """Whether every class passes; None for a generator without classes."""
        return all(entry.passes for entry in self.classes) if self.classes else None

    def to_dict(self) -> dict[str, Any]:
        """Plain values; the inverse of :meth:`from_dict`."""
        return {**dataclasses.asdict(self), "classes": [dataclasses.asdict(entry) for entry in self.classes]}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ImageQuality:
        """Builds the record from what :meth:`to_dict` returned."""
        classes = tuple(ClassQuality(**entry) for entry in values["classes"])
        return cls(**{**values, "classes": classes, "whole": SetQuality(**values["whole"])})


def needed_samples(parts: RealParts, classes: Mapping[int, str] | None) -> dict[int | None, int]:
    """How many synthetic images :func:`measure_images` reads, per class id (None: without classes).

    Raises:
        ValueError: real images without labels, of unknown classes, or classes without real images.
    """
    if classes is None:
        return {None: compared_count(parts)}
    for name, part in (("train", parts.train), ("val", parts.val), ("test", parts.test)):
        found = set() if part.labels is None else set(part.labels.tolist())
        if not found <= set(classes) or (name != "val" and found != set(classes)):
            raise ValueError(f"the {name} part has images of the classes {sorted(found)}, needed: {sorted(classes)}.")
    mixture = class_mixture(parts)
    return {number: max(SAMPLES_PER_CLASS, mixture[number], compared_count(parts, number)) for number in classes}


def measure_images(
    parts: RealParts, judge: MedMNISTCNN, synthetic: Synthetic, classes: Mapping[int, str] | None
) -> tuple[tuple[ClassQuality, ...], SetQuality]:
    """Measures synthetic images.

    Args:
        parts: the real images.
        judge: a classifier of the real classes; for images without classes, any network with features.
        synthetic: as many images as :func:`needed_samples` says.
        classes: class id -> name; None for a generator without classes.
    """
    if classes is None:
        return (), _measure_set(parts, judge, synthetic[None])
    assert parts.test.labels is not None
    recalls = recall_per_class(predict_classes(judge, parts.test.images), parts.test.labels, judge.n_classes)
    entries = tuple(
        _measure_class(parts, judge, synthetic[number], number, name, float(recalls[number]), 1.0 / len(classes))
        for number, name in classes.items()
    )
    mixture = torch.cat([synthetic[number][:count] for number, count in class_mixture(parts).items()])
    return entries, _measure_set(parts, judge, mixture)


def _measure_class(
    parts: RealParts, judge: MedMNISTCNN, synthetic: Tensor, number: int, name: str, recall_real: float, chance: float
) -> ClassQuality:
    train, test = parts.train.of_class(number), parts.test.of_class(number)
    drawn = synthetic[:SAMPLES_PER_CLASS]
    hits = int((predict_classes(judge, drawn) == number).sum())
    coverage = coverage_real = None
    if len(test) > NEIGHBOURS:
        count = compared_count(parts, number)
        real = classifier_features(judge, random_subset(test, COMPARED))
        others = (synthetic[:count], random_subset(train, count))
        coverage, coverage_real = (
            density_and_coverage(real, classifier_features(judge, images), NEIGHBOURS)[1] for images in others
        )
    return ClassQuality(
        name=name,
        n_train=len(train),
        n_test=len(test),
        recall_real=recall_real,
        recall_synthetic=hits / len(drawn),
        lower_bound=float(binomtest(hits, len(drawn)).proportion_ci(0.95, method="exact").low),
        chance=chance,
        coverage=coverage,
        coverage_real=coverage_real,
    )


def _measure_set(parts: RealParts, judge: MedMNISTCNN, synthetic: Tensor) -> SetQuality:
    test, train = random_subset(parts.test.images, COMPARED), random_subset(parts.train.images, len(synthetic))
    real, made, seen = (classifier_features(judge, images) for images in (test, synthetic, train))
    density, coverage = density_and_coverage(real, made, NEIGHBOURS)
    density_real, coverage_real = density_and_coverage(real, seen, NEIGHBOURS)
    return SetQuality(
        compared=len(synthetic),
        n_test=len(test),
        coverage=coverage,
        coverage_real=coverage_real,
        density=density,
        density_real=density_real,
        frechet=frechet_distance(real, made),
        frechet_real=frechet_distance(real, seen),
        nearest=_median_distance(synthetic, parts.train.images),
        nearest_real=_median_distance(test, parts.train.images),
    )


def compared_count(parts: RealParts, number: int | None = None) -> int:
    """Synthetic and training images that are compared, in all or of one class."""
    sizes = [len(part) if number is None else len(part.of_class(number)) for part in (parts.train, parts.test)]
    return min(COMPARED, *sizes)


def class_mixture(parts: RealParts) -> dict[int, int]:
    """Synthetic images of each class, as frequent as in the training part; in all about :func:`compared_count`."""
    assert parts.train.labels is not None
    plan = plan_counts(parts.train.labels, "ratio", compared_count(parts) / len(parts.train.labels))
    return {int(number): count for number, count in plan.items()}


def random_subset(images: Tensor, count: int) -> Tensor:
    """At most ``count`` images, in random order; the same ones each time."""
    return images[torch.randperm(len(images), generator=torch.Generator().manual_seed(0))[:count]]


def _median_distance(images: Tensor, training: Tensor) -> float:
    """Median RMSE to the nearest training image; intensities in [0, 1]."""
    x = images.flatten(1).float()
    nearest = torch.full((len(x),), float("inf"))
    for chunk in training.split(COMPARED):
        nearest = torch.minimum(nearest, torch.cdist(x, chunk.flatten(1).float()).min(dim=1).values)
    return float(nearest.median() / (255.0 * math.sqrt(x.shape[1])))
