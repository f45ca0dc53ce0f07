# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from monai_genaug.metrics import (
    FEATURE_METRICS,
    density_and_coverage,
    feature_metric_values,
    frechet_distance,
    kernel_distance,
    precision_and_recall,
    vendi_score,
)
from tests.metrics.feature_sets import feature_sets


def test_values_are_those_of_the_functions() -> None:
    real, synthetic = feature_sets()
    (precision, recall), (density, coverage) = (
        f(real, synthetic) for f in (precision_and_recall, density_and_coverage)
    )
    expected = {
        "frechet_distance": frechet_distance(real, synthetic),
        "kernel_distance": kernel_distance(real, synthetic)[0],
        "precision": precision,
        "recall": recall,
        "density": density,
        "coverage": coverage,
        "vendi_score": vendi_score(synthetic),
    }
    assert feature_metric_values(real, synthetic, FEATURE_METRICS) == expected


def test_only_what_is_asked_for_in_that_order() -> None:
    assert list(feature_metric_values(*feature_sets(), ("recall", "frechet_distance"))) == [
        "recall",
        "frechet_distance",
    ]


@pytest.mark.parametrize("metrics", [("fid",), (), "precision"])
def test_other_names_are_refused(metrics: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="allowed: a list of frechet_distance, kernel_distance"):
        feature_metric_values(*feature_sets(), metrics)


def test_features_that_a_metric_refuses() -> None:
    real, synthetic = feature_sets()
    with pytest.raises(ValueError, match="synthetic features contain NaN"):
        feature_metric_values(real, synthetic * float("nan"), ("coverage",))
    with pytest.raises(ValueError, match="3 synthetic samples are too few for k=3"):
        feature_metric_values(real, synthetic[:3], ("frechet_distance", "precision"))
