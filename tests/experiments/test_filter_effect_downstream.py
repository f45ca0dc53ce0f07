# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from monai_genaug.experiments.classification import train_classifier
from monai_genaug.experiments.filter_effect_criteria import ALL, FILTERS, NONE
from monai_genaug.experiments.filter_effect_downstream import (
    ARMS,
    BOTH,
    RANDOM,
    REAL,
    SYNTHETIC,
    Effort,
    arm_data,
    run_arms,
    run_selection,
    score,
)
from monai_genaug.experiments.real_parts import LabelledImages
from tests.experiments.toy_images import part, parts

PARTS = parts()
CANDIDATES = {0: part("a", (60, 1)).of_class(0), 1: part("b", (1, 60)).of_class(1)}
ROWS = {0: torch.arange(0, 60, 2), 1: torch.arange(1, 60, 2)}
EFFORT = Effort(real=12, synthetic=20, steps=24, batch_size=16, seeds=1)


def _places(images: Tensor, among: Tensor) -> list[int]:
    """Rows of ``among`` that the images are."""
    return [int((among == image).flatten(1).all(dim=1).nonzero()[0, 0]) for image in images]


def test_half_of_an_arm_with_both_is_real() -> None:
    rows = {0: ROWS[0][:20], 1: ROWS[1]}
    images, labels = arm_data(BOTH, PARTS.train, CANDIDATES, rows, 30, 12, seed=3)
    assert labels.tolist() == [0] * 20 + [1] * 30 + [0] * 20 + [1] * 30  # 20 rows of class 0 are there
    real, of_real = arm_data(REAL, PARTS.train, CANDIDATES, rows, 30, 12, seed=3)
    made, of_made = arm_data(SYNTHETIC, PARTS.train, CANDIDATES, rows, 30, 12, seed=3)
    assert of_real.tolist() == [0] * 12 + [1] * 12
    assert of_made.tolist() == [0] * 20 + [1] * 30
    assert torch.equal(images[50:], made)
    assert torch.equal(images[20:44], torch.cat([real[12:], real[12:]]))
    assert set(_places(made[:20], CANDIDATES[0])) == set(rows[0].tolist())
    assert sorted(_places(made[20:], CANDIDATES[1])) == ROWS[1].tolist()
    assert len(set(_places(real[:12], PARTS.train.of_class(0)))) == 12


def test_real_images_follow_from_the_seed_alone() -> None:
    def real(seed: int, source: str, rows: dict[int, Tensor]) -> Tensor:
        images, _ = arm_data(source, PARTS.train, CANDIDATES, rows, 12, 12, seed)
        return images[:24]

    assert torch.equal(real(1, REAL, ROWS), real(1, BOTH, {0: torch.arange(60), 1: torch.arange(60)}))
    assert not torch.equal(real(1, REAL, ROWS), real(2, REAL, ROWS))


def test_samples_teach_what_they_show(tmp_path: Path) -> None:
    accepted = {name: {0: torch.arange(60), 1: torch.arange(60)} for name in FILTERS}
    found = run_arms(PARTS, CANDIDATES, accepted, EFFORT, tmp_path)
    assert set(found) == set(ARMS)
    assert all(len(runs) == 1 for runs in found.values())
    assert found[SYNTHETIC, NONE][0]["auc"] > 0.9
    assert found[BOTH, NONE] == found[BOTH, ALL]  # the filter accepts all, and the choice is the same
    assert found[BOTH, NONE] != found[REAL, NONE]
    assert found[BOTH, RANDOM] != found[BOTH, NONE]  # of equally many samples, others are chosen


def test_arms_without_samples_are_left_out_and_finished_ones_are_read(tmp_path: Path) -> None:
    accepted = dict.fromkeys(FILTERS, ROWS) | {ALL: {0: torch.arange(0), 1: torch.arange(9)}}
    effort = Effort(real=5, synthetic=9, steps=1, batch_size=4, seeds=2)
    found = run_arms(PARTS, CANDIDATES, accepted, effort, tmp_path)
    assert set(ARMS) - set(found) == {(BOTH, ALL), (BOTH, RANDOM), (SYNTHETIC, ALL), (SYNTHETIC, RANDOM)}
    path = tmp_path / "real_none_1.json"
    path.write_text('{"balanced_accuracy": 0.25, "auc": 0.125}')
    again = run_arms(PARTS, CANDIDATES, accepted, effort, tmp_path)
    assert again[REAL, NONE][1] == {"balanced_accuracy": 0.25, "auc": 0.125}
    assert again[BOTH, NONE] == found[BOTH, NONE]


def test_selection_trains_on_the_dense_part(tmp_path: Path) -> None:
    """Images with the wrong label lie apart in the features; half of the images is without them."""
    train, labels = PARTS.train, PARTS.train.labels
    assert labels is not None
    wrong = torch.zeros(200, dtype=torch.bool)
    wrong[::3] = True
    spoilt = LabelledImages(train.images, torch.where(wrong, 1 - labels, labels))
    features = torch.randn(200, 4, generator=torch.Generator().manual_seed(0)) + 20.0 * wrong[:, None] * torch.randn(
        200, 4, generator=torch.Generator().manual_seed(1)
    )
    effort = Effort(steps=60, batch_size=16, seeds=1)
    found = run_selection(type(PARTS)(spoilt, PARTS.val, PARTS.test), features, effort, tmp_path)
    assert list(found) == [1.0, 0.8, 0.5]
    means = {share: sum(run["auc"] for run in runs) for share, runs in found.items()}
    assert means[0.5] > means[1.0]
    assert min(run["auc"] for run in found[0.5]) > 0.9


def test_scores_are_the_textbook_ones() -> None:
    train = PARTS.train
    assert train.labels is not None
    network = train_classifier(train.images, train.labels, 2, 40, 0, 16)
    found = score(network, PARTS.test)
    with torch.no_grad():
        logits = network(PARTS.test.images.float() / 255.0)
    margin = logits[:, 1] - logits[:, 0]
    recall = [float((logits[:60].argmax(1) == 0).double().mean()), float((logits[60:].argmax(1) == 1).double().mean())]
    assert found["balanced_accuracy"] == pytest.approx(sum(recall) / 2)
    wins = (margin[60:, None] > margin[None, :60]).double() + 0.5 * (margin[60:, None] == margin[None, :60])
    assert found["auc"] == pytest.approx(float(wins.mean()), abs=1e-3)
