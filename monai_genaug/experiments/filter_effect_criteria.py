# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Filters that are fitted to a training part, and which samples of a generator they accept."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from monai_genaug.experiments.classification import train_classifier
from monai_genaug.experiments.real_parts import LabelledImages, as_levels
from monai_genaug.experiments.stages import stage_key, stored_tensors
from monai_genaug.experiments.step_bar import step_bar
from monai_genaug.generators import SampleGenerator
from monai_genaug.metrics import feature_extractor
from monai_genaug.networks.medmnist_cnn import MedMNISTCNN
from monai_genaug.quality import (
    ClassifierCriterion,
    MemorisationCriterion,
    PixelThumbnails,
    RealismCriterion,
    SampleCriterion,
)
from monai_genaug.weights import load_strict

__all__ = ["ALL", "FILTERS", "NONE", "accepted_rows", "draw_candidates", "fit_criteria", "unit_images"]

NONE, ALL = "none", "all together"
FILTERS: Mapping[str, tuple[str, ...]] = {
    NONE: (),
    "realism": ("realism",),
    "classifier": ("classifier",),
    "memorisation": ("memorisation",),
    ALL: ("realism", "classifier", "memorisation"),
}
"""Name of a filter -> the criteria that it consists of."""

_CONFIDENCE = 0.8
_REALISTIC, _NEAR = 0.75, 0.05
_HELD_BACK = 5
_CHUNK = 500
_SEED = 1


def fit_criteria(train: LabelledImages, n_classes: int, work_dir: Path, steps: int = 400) -> dict[str, SampleCriterion]:
    """Fits the three criteria to the training part alone.

    A fifth of it is held back to set what is not given: the realism that three quarters of these images have in
    medical features, and the distance to the nearest image that 5 % of them stay below. The classifier learns from the
    rest; of its stages that is taken which is best on the fifth.

    Args:
        train: real images with labels.
        n_classes: of the generator.
        work_dir: keeps the classifier.
        steps: of the classifier's training.

    Raises:
        ValueError: images without labels.
    """
    if train.labels is None:
        raise ValueError("the training images have no labels, which the classifier needs.")
    order = torch.randperm(len(train), generator=torch.Generator().manual_seed(_SEED))
    held_back, rest = order[::_HELD_BACK], order[torch.arange(len(order)) % _HELD_BACK != 0]
    images, medical = unit_images(train.images), feature_extractor("medical", _axes(train))
    some = {"image": images[held_back]}
    realism = RealismCriterion(images[rest], medical).scores(some, None).quantile(1.0 - _REALISTIC)
    distance = MemorisationCriterion(images[rest], 1.0, PixelThumbnails()).scores(some, None).quantile(_NEAR)
    with torch.random.fork_rng(devices=[]):  # the weights are replaced
        network = MedMNISTCNN(_axes(train), images.shape[1], n_classes)
    path = work_dir / f"filter_{stage_key(train.sha256, n_classes, steps)}.pt"
    state = stored_tensors(path, lambda: _trained(train, (rest, held_back), n_classes, steps))
    load_strict(network, state, "the classifier's file")
    smallest = torch.finfo(torch.float64).tiny  # copies in the training part have no distance
    return {
        "realism": RealismCriterion(images, medical, float(realism)),
        "classifier": ClassifierCriterion(network, _CONFIDENCE),
        "memorisation": MemorisationCriterion(images, max(float(distance), smallest), PixelThumbnails()),
    }


def draw_candidates(generator: SampleGenerator, count: int, work_dir: Path) -> dict[int, Tensor]:
    """Samples of each class, of the seeds 0 and up.

    Args:
        generator: has classes, makes the output ``image``.
        count: per class.
        work_dir: keeps them.

    Returns:
        Class id -> uint8 ``(count, c, *spatial)``.

    Raises:
        ValueError: a generator without classes.
    """
    spec = generator.spec
    if spec.classes is None:
        raise ValueError(f"{spec.name!r} has no classes, which a classifier's filter needs.")
    key = stage_key(spec.replace(provenance=None, warnings=()).to_dict(), count)

    def drawn() -> dict[str, Tensor]:
        return {str(number): _draw(generator, number, count) for number in spec.classes or ()}

    stored = stored_tensors(work_dir / f"candidates_{key}.pt", drawn)
    return {int(name): images for name, images in stored.items()}


def accepted_rows(
    criteria: Mapping[str, SampleCriterion], candidates: Mapping[int, Tensor]
) -> dict[str, dict[int, Tensor]]:
    """Which candidates each of :data:`FILTERS` lets through: filter -> class id -> row numbers, rising."""
    rows: dict[str, dict[int, Tensor]] = {name: {} for name in FILTERS}
    for number, images in candidates.items():
        verdicts = {name: _verdicts(one, images, number) for name, one in criteria.items()}
        for name, parts in FILTERS.items():
            accepted = torch.ones(len(images), dtype=torch.bool)
            for part in parts:
                accepted &= verdicts[part]
            rows[name][number] = accepted.nonzero().flatten()
    return rows


def unit_images(images: Tensor) -> Tensor:
    """Levels as floats in [0, 1]."""
    return images.float() / 255.0


def _trained(train: LabelledImages, rows: tuple[Tensor, Tensor], n_classes: int, steps: int) -> dict[str, Tensor]:
    assert train.labels is not None
    images, labels = train.images, train.labels
    (own, of_own), held_out = ((images[some], labels[some]) for some in rows)
    with step_bar("train the filter's classifier", steps) as move:
        network = train_classifier(own, of_own, n_classes, steps, _SEED, held_out=held_out, on_step=move)
    return network.state_dict()


def _verdicts(criterion: SampleCriterion, images: Tensor, number: int) -> Tensor:
    chunks = images.split(_CHUNK)
    return torch.cat([criterion.accept({"image": unit_images(some)}, [number] * len(some)).cpu() for some in chunks])


def _draw(generator: SampleGenerator, number: int, count: int) -> Tensor:
    value_range, parts = generator.spec.outputs["image"].value_range, []
    with step_bar(f"draw samples of class {number}", count) as move:
        for start in range(0, count, _CHUNK):
            seeds = range(start, min(start + _CHUNK, count))
            parts.append(as_levels(generator.sample(seeds, number)["image"].cpu(), value_range))
            move(seeds.stop)
    return torch.cat(parts)


def _axes(part: LabelledImages) -> int:
    return part.images.ndim - 2
