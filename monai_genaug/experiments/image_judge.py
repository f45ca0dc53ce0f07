# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""The network that judges images: trained on real ones, kept in a file."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from monai_genaug.experiments.classification import train_classifier, untrained_classifier
from monai_genaug.experiments.real_parts import RealParts
from monai_genaug.experiments.stages import stage_key, stored_tensors
from monai_genaug.experiments.step_bar import step_bar
from monai_genaug.networks.medmnist_cnn import MedMNISTCNN
from monai_genaug.weights import load_strict

__all__ = ["Judge", "make_judge"]

_SEED = 0
_SMALL = 32 * 32
_SIDES = re.compile(r"(?<![a-z])(left|right)(?![a-z])", re.IGNORECASE)


@dataclass(frozen=True)
class Judge:
    """A network and how it came about.

    Args:
        network: in evaluation mode.
        steps: of its training; 0 for random weights.
        key: changes with the images and the settings of the training.
    """

    network: MedMNISTCNN
    steps: int
    key: str


def make_judge(parts: RealParts, class_names: Collection[str], work_dir: Path, steps: int | None = None) -> Judge:
    """Trains a classifier on the training part, or reads it from the work folder.

    Images of fewer than two classes are judged by a network with random weights. Training images are mirrored, unless
    a class may be the mirror image of another one: if a name says left or right.

    Args:
        parts: the real images; the stage of the training that is best on the validation part is taken.
        class_names: of the labels; empty if they are not known.
        work_dir: keeps the weights.
        steps: optimisation steps; None for as many as suit the size of the images.
    """
    images, labels = parts.train.images, parts.train.labels
    n_classes = 1 if labels is None or len(labels.unique()) < 2 else int(labels.max()) + 1
    settings = {**_effort(images), "seed": _SEED}
    settings["flip"] = not any(_SIDES.search(name) for name in class_names)
    if steps is not None:
        settings["steps"] = steps
    if n_classes == 1:
        settings = {"steps": 0, "seed": _SEED}
    key = stage_key(settings, parts.train.sha256, parts.val.sha256)
    state = stored_tensors(work_dir / f"judge_{key}.pt", lambda: _trained(parts, n_classes, settings))
    with torch.random.fork_rng(devices=[]):
        network = MedMNISTCNN(images.ndim - 2, images.shape[1], n_classes)
    load_strict(network, state, "the judge's file")
    return Judge(network.eval(), settings["steps"], key)


def _effort(images: Tensor) -> dict[str, Any]:
    """Steps and images per step: a minute or two on one core."""
    if images.ndim == 5:
        return {"steps": 600, "batch_size": 16}
    return {"steps": 1500, "batch_size": 64 if images[0, 0].numel() <= _SMALL else 32}


def _trained(parts: RealParts, n_classes: int, settings: Mapping[str, Any]) -> dict[str, Tensor]:
    images, labels = parts.train.images, parts.train.labels
    if labels is None or n_classes == 1:
        return untrained_classifier(images, settings["seed"]).state_dict()
    held_out = None if parts.val.labels is None else (parts.val.images, parts.val.labels)
    with step_bar("train the judge", settings["steps"]) as move:
        network = train_classifier(images, labels, n_classes, held_out=held_out, on_step=move, **settings)
    return network.state_dict()
