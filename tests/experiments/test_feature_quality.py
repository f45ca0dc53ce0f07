# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
import torch

from monai_genaug.experiments.feature_quality import FeatureQuality, FeatureRow, measure_features
from monai_genaug.experiments.real_parts import LabelledImages, RealParts, as_levels
from monai_genaug.metrics import FEATURE_METRICS, RandomFeatures, feature_metric_values
from tests.experiments.card_figures import FEATURES
from tests.experiments.toy_images import CLASSES, CollapsedBars, FreshBars, bar_spec, parts, unlabelled

REAL = parts()
EXTRACTOR = RandomFeatures(2)


def images(generator: FreshBars, count: int = 80) -> dict[int | None, torch.Tensor]:
    return {k: as_levels(generator.sample(range(count), k)["image"], (-1.0, 1.0)) for k in generator.spec.classes or {}}


def measured(generator: FreshBars) -> dict[tuple[str, str], FeatureRow]:
    found = measure_features(REAL, images(generator), CLASSES, EXTRACTOR, "random")
    assert found.extractor == "random"
    return {(row.scope, row.images): row for row in found.rows}


def test_rows_hold_the_metrics_of_equally_many_images() -> None:
    rows = measured(FreshBars(bar_spec("fresh")))
    assert list(rows) == [(s, i) for s in ("all", "vertical", "horizontal") for i in ("synthetic", "training")]
    assert {(row.count, row.n_test) for (scope, _), row in rows.items() if scope == "vertical"} == {(60, 60)}
    real, made = REAL.test.of_class(0), images(FreshBars(bar_spec("fresh")))[0][:60]
    expected = feature_metric_values(EXTRACTOR(real, (0, 255)), EXTRACTOR(made, (0, 255)), FEATURE_METRICS)
    assert rows["vertical", "synthetic"].values == pytest.approx(expected, abs=1e-4)


def test_fresh_draws_are_as_good_as_training_images_and_a_collapsed_generator_is_not() -> None:
    fresh, collapsed = measured(FreshBars(bar_spec("fresh"))), measured(CollapsedBars(bar_spec("collapsed")))
    reference = fresh["all", "training"].values
    assert collapsed["all", "training"].values == reference
    good, bad = fresh["all", "synthetic"].values, collapsed["all", "synthetic"].values
    assert good["coverage"] > 0.8 * reference["coverage"]
    assert bad["coverage"] < 0.3 * reference["coverage"]
    assert bad["vendi_score"] - 1 < 0.3 * (good["vendi_score"] - 1)
    assert bad["frechet_distance"] > 5 * good["frechet_distance"]


def test_without_classes_there_is_one_scope() -> None:
    made = {None: torch.cat(list(images(FreshBars(bar_spec("fresh"))).values()))}
    found = measure_features(unlabelled(REAL), made, None, EXTRACTOR, "random")
    assert [(row.scope, row.count, row.n_test) for row in found.rows] == [("all", 90, 90)] * 2


def test_a_class_with_few_test_images_is_left_out() -> None:
    assert REAL.test.labels is not None
    some = torch.cat([(REAL.test.labels == 0).nonzero()[:, 0], (REAL.test.labels == 1).nonzero()[:5, 0]])
    few = RealParts(REAL.train, REAL.val, LabelledImages(REAL.test.images[some], REAL.test.labels[some]))
    found = measure_features(few, images(FreshBars(bar_spec("fresh"))), CLASSES, EXTRACTOR, "random")
    assert {row.scope for row in found.rows} == {"all", "vertical"}


def test_round_trip_and_version() -> None:
    assert FeatureQuality.from_dict(FEATURES.to_dict()) == FEATURES
    with pytest.raises(ValueError, match="version 7, needed: 1"):
        FeatureQuality.from_dict({**FEATURES.to_dict(), "version": 7})
    with pytest.raises(ValueError, match=r"needed: .*'vendi_score'"):
        FeatureRow("all", "synthetic", 3, 3, {"precision": 1.0})
