# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Does a filter help a classifier? Trainings on few real images, on samples, and on both; on selected real images."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from monai_genaug.experiments.classification import classifier_features, train_classifier
from monai_genaug.experiments.filter_effect_criteria import ALL, FILTERS, NONE
from monai_genaug.experiments.filter_effect_sets import Rows, choose_rows
from monai_genaug.experiments.real_parts import LabelledImages, RealParts
from monai_genaug.experiments.stages import stored_json
from monai_genaug.networks.medmnist_cnn import MedMNISTCNN
from monai_genaug.quality import select_instances

__all__ = [
    "ARMS",
    "BOTH",
    "KEPT_SHARES",
    "RANDOM",
    "REAL",
    "SYNTHETIC",
    "Effort",
    "arm_data",
    "run_arms",
    "run_selection",
    "score",
]

REAL, SYNTHETIC, BOTH = "real", "synthetic", "real + synthetic"
RANDOM = "random dropping"
"""Candidates that are kept at random, as many of each class as all criteria together leave."""

ARMS: tuple[tuple[str, str], ...] = (
    (REAL, NONE),
    *((BOTH, name) for name in (*FILTERS, RANDOM)),
    *((SYNTHETIC, name) for name in (NONE, ALL, RANDOM)),
)
"""Training data, and the filter of the synthetic ones."""

KEPT_SHARES = (1.0, 0.8, 0.5)
"""Shares of the training part that instance selection keeps."""

Data = Callable[[int], tuple[Tensor, Tensor]]
"""Seed -> images and labels."""

Runs = list[dict[str, float]]
"""One result of :func:`score` per seed."""


@dataclass(frozen=True)
class Effort:
    """Sizes of the trainings.

    Args:
        real: real images of each class.
        synthetic: samples of each class, if a filter leaves so many.
        steps: of every training.
        batch_size: images per step.
        seeds: trainings of each arm, which differ in weights, images and draws.
    """

    real: int = 50
    synthetic: int = 500
    steps: int = 150
    batch_size: int = 32
    seeds: int = 5


def run_arms(
    parts: RealParts, candidates: Mapping[int, Tensor], accepted: Mapping[str, Rows], effort: Effort, folder: Path
) -> dict[tuple[str, str], Runs]:
    """Trains all of :data:`ARMS` and scores them on the test part.

    With the same seed all arms have the same real images. Half of the images that a training on both draws are real.
    An arm without samples of some class is left out.

    Args:
        parts: real images with labels.
        candidates: class id -> uint8 images.
        accepted: filter -> class id -> rows of the candidates.
        effort: sizes.
        folder: keeps the scores; must be another one for other images, filters or sizes.
    """
    dropped = {
        number: choose_rows(torch.arange(len(candidates[number])), len(rows), "dropped", number)
        for number, rows in accepted[ALL].items()
    }
    kept = {**accepted, RANDOM: dropped}
    results: dict[tuple[str, str], Runs] = {}
    for source, name in ARMS:
        if all(len(rows) for rows in kept[name].values()):
            data = partial(arm_data, source, parts.train, candidates, kept[name], effort.synthetic, effort.real)
            path = folder / f"{source}_{name}".replace(" ", "")
            results[source, name] = _runs(path, data, parts.test, effort)
    return results


def run_selection(parts: RealParts, features: Tensor, effort: Effort, folder: Path) -> dict[float, Runs]:
    """Trains on the whole training part, and on what instance selection keeps of each class.

    Args:
        parts: real images with labels.
        features: of the training images ``(n, d)``.
        effort: sizes; those of the data are not used.
        folder: keeps the scores.
    """
    results = {}
    for share in KEPT_SHARES:
        data = partial(_selected, parts.train, select_instances(features, share, parts.train.labels).kept)
        results[share] = _runs(folder / f"selected_{share}", data, parts.test, effort)
    return results


def arm_data(
    source: str,
    train: LabelledImages,
    candidates: Mapping[int, Tensor],
    rows: Rows,
    n_synthetic: int,
    n_real: int,
    seed: int,
) -> tuple[Tensor, Tensor]:
    """Images and labels of an arm; the same real ones for all arms with this seed.

    Args:
        source: of :data:`ARMS`.
        train: real images with labels.
        candidates: class id -> uint8 images.
        rows: class id -> rows of the candidates to choose from.
        n_synthetic, n_real: images of each class, at most.
        seed: of the choice.
    """
    real, synthetic = {}, {}
    for number, images in candidates.items():
        own = train.of_class(number)
        real[number] = own[choose_rows(torch.arange(len(own)), n_real, "real", seed, number)]
        synthetic[number] = images[choose_rows(rows[number], n_synthetic, "synthetic", seed, number)]
    if source == REAL:
        return _labelled([real])
    if source == SYNTHETIC:
        return _labelled([synthetic])
    repeated = {number: images[torch.arange(len(synthetic[number])) % len(images)] for number, images in real.items()}
    return _labelled([repeated, synthetic])


@torch.no_grad()
def score(network: MedMNISTCNN, test: LabelledImages) -> dict[str, float]:
    """Balanced accuracy, and the area under the ROC curve (of several classes: mean of one against the rest).

    Args:
        network: a classifier.
        test: images with labels, of all classes.
    """
    from sklearn.metrics import balanced_accuracy_score, roc_auc_score

    assert test.labels is not None
    probabilities = network.to_logits(classifier_features(network, test.images)).double().softmax(dim=1)
    given = probabilities[:, 1] if probabilities.shape[1] == 2 else probabilities
    return {
        "balanced_accuracy": float(balanced_accuracy_score(test.labels, probabilities.argmax(dim=1))),
        "auc": float(roc_auc_score(test.labels, given, multi_class="ovr")),
    }


def _runs(path: Path, data: Data, test: LabelledImages, effort: Effort) -> Runs:
    """Trains with each seed and scores, or reads the results from files that start like ``path``."""

    def run(seed: int) -> dict[str, Any]:
        assert test.labels is not None
        images, labels = data(seed)
        n_classes = int(test.labels.max()) + 1
        return score(train_classifier(images, labels, n_classes, effort.steps, seed, effort.batch_size), test)

    return [stored_json(Path(f"{path}_{seed}.json"), partial(run, seed)) for seed in range(effort.seeds)]


def _selected(train: LabelledImages, rows: Tensor, _seed: int) -> tuple[Tensor, Tensor]:
    assert train.labels is not None
    return train.images[rows], train.labels[rows]


def _labelled(sets: Sequence[Mapping[int, Tensor]]) -> tuple[Tensor, Tensor]:
    pairs = [(images, torch.full((len(images),), number)) for one in sets for number, images in one.items()]
    return torch.cat([images for images, _ in pairs]), torch.cat([labels for _, labels in pairs])
