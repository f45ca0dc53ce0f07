# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

from monai_genaug.experiments.bundle_quality import bundle_quality, draw_images
from monai_genaug.experiments.classification import classifier_features, predict_classes
from monai_genaug.experiments.image_judge import Judge, make_judge
from monai_genaug.experiments.image_quality import ClassQuality, ImageQuality, measure_images, needed_samples
from monai_genaug.experiments.real_parts import LabelledImages, RealParts
from monai_genaug.metrics import density_and_coverage, frechet_distance
from tests.experiments.toy_images import (
    CLASSES,
    AnyBars,
    CollapsedBars,
    FreshBars,
    bar_spec,
    part,
    parts,
    unlabelled,
)

REAL = parts()
STEPS = 80


@pytest.fixture(scope="module")
def work_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One for all tests, so that the judge is trained once."""
    return tmp_path_factory.mktemp("quality")


@pytest.fixture(scope="module")
def judge(work_dir: Path) -> Judge:
    return make_judge(REAL, CLASSES.values(), work_dir, STEPS)


@pytest.fixture(scope="module")
def fresh(work_dir: Path) -> ImageQuality:
    return bundle_quality(FreshBars(bar_spec("fresh")), REAL, work_dir, STEPS)


def test_fresh_draws_of_the_real_distribution_pass(fresh: ImageQuality) -> None:
    assert fresh.is_conditional
    assert fresh.whole.passes
    assert [(entry.name, entry.n_train, entry.n_test) for entry in fresh.classes] == [
        ("vertical", 150, 60),
        ("horizontal", 50, 30),
    ]
    assert all(entry.recall_real > 0.9 and entry.recall_synthetic > 0.9 for entry in fresh.classes)
    assert fresh.whole.coverage == pytest.approx(fresh.whole.coverage_real, abs=0.15)
    assert fresh.whole.nearest_ratio == pytest.approx(1.0, abs=0.1)
    assert (fresh.n_train, fresh.n_val, fresh.n_test, fresh.judge_steps) == (200, 40, 90, STEPS)


def test_one_image_per_class_fails_coverage_alone(work_dir: Path) -> None:
    quality = bundle_quality(CollapsedBars(bar_spec("collapsed")), REAL, work_dir, STEPS)
    assert quality.is_conditional
    assert not quality.whole.passes
    assert quality.whole.coverage < 0.3
    assert all(entry.coverage is not None and entry.coverage < 0.4 for entry in quality.classes)


def test_ignoring_the_class_fails_conditionality_alone(work_dir: Path) -> None:
    quality = bundle_quality(AnyBars(bar_spec("any")), REAL, work_dir, STEPS)
    assert [entry.passes for entry in quality.classes] == [False, False]
    assert not quality.is_conditional
    assert quality.whole.passes
    assert quality.classes[0].recall_synthetic == pytest.approx(0.75, abs=0.08)
    assert quality.classes[1].recall_synthetic == pytest.approx(0.25, abs=0.08)


def test_without_classes_only_the_whole_is_measured(work_dir: Path) -> None:
    generator = FreshBars(bar_spec("one", classes=None))
    labelled = bundle_quality(generator, REAL, work_dir, 40)
    without = bundle_quality(generator, unlabelled(REAL), work_dir)
    for quality, steps in ((labelled, 40), (without, 0)):
        assert quality.classes == ()
        assert quality.is_conditional is None
        assert quality.whole.passes
        assert quality.judge_steps == steps
    collapsed = bundle_quality(CollapsedBars(bar_spec("bad", classes=None)), unlabelled(REAL), work_dir)
    assert not collapsed.whole.passes


def test_figures_of_a_class_are_those_of_the_definitions(judge: Judge, fresh: ImageQuality, work_dir: Path) -> None:
    synthetic = draw_images(FreshBars(bar_spec("fresh")), REAL, work_dir)[1]
    hits = int((predict_classes(judge.network, synthetic[:500]) == 1).sum())
    found, entry = predict_classes(judge.network, REAL.test.images), fresh.classes[1]
    assert entry.recall_synthetic == hits / 500
    assert entry.recall_real == pytest.approx(float((found[60:] == 1).double().mean()))
    bound = stats.beta.ppf(0.025, hits, 500 - hits + 1)
    assert entry.lower_bound == pytest.approx(bound)
    assert entry.chance == 0.5
    real, made = (classifier_features(judge.network, images) for images in (REAL.test.images[60:], synthetic[:30]))
    assert entry.coverage == pytest.approx(density_and_coverage(real, made, 5)[1])


def test_figures_of_the_whole_are_those_of_the_definitions(judge: Judge, fresh: ImageQuality, work_dir: Path) -> None:
    drawn = draw_images(FreshBars(bar_spec("fresh")), REAL, work_dir)
    mixture = torch.cat([drawn[0][:68], drawn[1][:23]])  # 90 images, 3 to 1 as in the training part, halves up
    whole, features = fresh.whole, [classifier_features(judge.network, x) for x in (REAL.test.images, mixture)]
    assert (whole.compared, whole.n_test) == (91, 90)
    assert (whole.density, whole.coverage) == pytest.approx(density_and_coverage(features[0], features[1], 5))
    assert whole.frechet == pytest.approx(frechet_distance(features[0], features[1]), rel=1e-4)
    train = REAL.train.images.flatten(1).numpy() / 255.0
    for images, found in ((mixture, whole.nearest), (REAL.test.images, whole.nearest_real)):
        x = images.flatten(1).numpy() / 255.0
        rmse = np.sqrt(((x[:, None] - train[None]) ** 2).mean(axis=2)).min(axis=1)
        assert found == pytest.approx(float(np.sort(rmse)[(len(rmse) - 1) // 2]), rel=1e-4)


def test_copies_of_training_images_have_no_distance_to_them(judge: Judge) -> None:
    copies = {number: REAL.train.of_class(number).repeat(12, 1, 1, 1)[:600] for number in CLASSES}
    _, whole = measure_images(REAL, judge.network, copies, CLASSES)
    assert whole.nearest_ratio == pytest.approx(0.0, abs=1e-3)


@pytest.mark.parametrize(
    ("recall_real", "recall_synthetic", "lower_bound", "passes"),
    [
        (0.9, 0.73, 0.6, True),
        (0.9, 0.71, 0.6, False),
        (0.5, 0.5, 0.25, False),
        (0.5, 0.5, 0.26, True),
        (0.0, 0.5, 0.4, True),
        (0.0, 0.0, 0.0, False),
    ],
)
def test_criteria(recall_real: float, recall_synthetic: float, lower_bound: float, passes: bool) -> None:
    entry = ClassQuality("a", 9, 9, recall_real, recall_synthetic, lower_bound, 0.25, 0.1, 0.9)
    assert entry.passes is passes
    assert entry.ratio == (pytest.approx(recall_synthetic / recall_real) if recall_real else None)


def test_half_of_what_real_images_cover_is_enough(fresh: ImageQuality) -> None:
    for coverage, passes in ((0.45, True), (0.44, False)):
        whole = dataclasses.replace(fresh.whole, coverage=coverage, coverage_real=0.9)
        assert whole.passes is passes


def test_a_class_with_few_test_images_has_no_coverage(judge: Judge) -> None:
    assert REAL.test.labels is not None
    few = RealParts(REAL.train, REAL.val, LabelledImages(REAL.test.images[:65], REAL.test.labels[:65]))
    images = {number: REAL.train.of_class(number).repeat(12, 1, 1, 1)[:600] for number in CLASSES}
    classes, _ = measure_images(few, judge.network, images, CLASSES)
    assert classes[0].coverage is not None
    assert (classes[1].coverage, classes[1].coverage_real) == (None, None)


def test_record_goes_through_json(fresh: ImageQuality) -> None:
    assert ImageQuality.from_dict(json.loads(json.dumps(fresh.to_dict()))) == fresh


def test_needed_samples_of_large_and_small_parts() -> None:
    def numbered(counts: tuple[int, int]) -> LabelledImages:
        labels = torch.tensor([0] * counts[0] + [1] * counts[1])
        return LabelledImages(torch.zeros(sum(counts), 1, 14, 14, dtype=torch.uint8), labels)

    large = RealParts(numbered((3000, 700)), numbered((1, 1)), numbered((2000, 800)))
    assert needed_samples(large, CLASSES) == {0: 1000, 1: 700}
    assert needed_samples(large, None) == {None: 1000}
    assert needed_samples(REAL, CLASSES) == {0: 500, 1: 500}
    assert needed_samples(REAL, None) == {None: 90}


@pytest.mark.parametrize(
    ("real", "words"),
    [
        (unlabelled(REAL), r"train part has images of the classes \[\], needed: \[0, 1\]"),
        (RealParts(REAL.train, REAL.val, part("few", (8, 0))), r"test part has images of the classes \[0\], needed"),
    ],
)
def test_classes_that_do_not_fit_are_named(real: RealParts, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        needed_samples(real, CLASSES)
    with pytest.raises(ValueError, match="needed: \\[0, 2\\]"):
        needed_samples(REAL, {0: "a", 2: "b"})


def test_images_of_another_shape_are_refused(tmp_path: Path) -> None:
    class Large(FreshBars):
        def _one(self, seed: int, number: int) -> Tensor:
            return torch.zeros(1, 20, 20)

    spec = bar_spec("large").replace(spatial_shape=(20, 20))
    with pytest.raises(ValueError, match=r"\(1, 16, 16\), those of 'large' have \(1, 20, 20\)"):
        bundle_quality(Large(spec), REAL, tmp_path, 1)
    assert list(tmp_path.iterdir()) == []
