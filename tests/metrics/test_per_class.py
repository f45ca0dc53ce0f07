# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
import torch

from monai_genaug.metrics import density_and_coverage, frechet_distance, metric_per_class, vendi_score
from tests.metrics.feature_sets import feature_sets


def test_each_class_on_its_own() -> None:
    real, fake = feature_sets()
    x_labels, y_labels = torch.arange(90) % 3, ["abc"[i % 3] for i in range(70)]
    names = ["abc"[i] for i in x_labels.tolist()]
    found = metric_per_class(frechet_distance, (real, names), (fake, y_labels))
    assert list(found) == ["a", "b", "c"]
    assert found["b"] == frechet_distance(real[1::3], fake[1::3])


def test_integers_options_and_one_set() -> None:
    real, fake = feature_sets()
    x_labels, y_labels = torch.arange(90) % 2 + 4, torch.arange(70) % 2 + 4
    found = metric_per_class(density_and_coverage, (real, x_labels), (fake, y_labels), k=3)
    assert found == {c: density_and_coverage(real[c - 4 :: 2], fake[c - 4 :: 2], k=3) for c in (4, 5)}
    assert metric_per_class(vendi_score, (fake, y_labels)) == {c: vendi_score(fake[c - 4 :: 2]) for c in (4, 5)}


def test_rising_classes_whatever_comes_first() -> None:
    assert list(metric_per_class(vendi_score, (torch.eye(4), [10, 2, 7, 2]))) == [2, 7, 10]


def test_what_is_refused() -> None:
    real, fake = feature_sets()
    with pytest.raises(ValueError, match=r"classes \[1\] are missing in set 1, which has \[0\]"):
        metric_per_class(frechet_distance, (real, torch.arange(90) % 2), (fake, [0] * 70))
    with pytest.raises(ValueError, match="69 labels for 70 rows"):
        metric_per_class(vendi_score, (fake, [0] * 69))
    with pytest.raises(ValueError, match=r"labels have shape \(70, 1\)"):
        metric_per_class(vendi_score, (fake, torch.zeros(70, 1)))
    with pytest.raises(ValueError, match="class 'rare': real features have 1 rows"):
        metric_per_class(frechet_distance, (real[:3], ["a", "a", "rare"]), (real[:3], ["a", "a", "rare"]))
    with pytest.raises(ValueError, match="class 1: 4 real samples are too few for k=5"):
        metric_per_class(density_and_coverage, (real, [0] * 86 + [1] * 4), (fake, torch.arange(70) % 2))
    with pytest.raises(ValueError, match="0 feature sets"):
        metric_per_class(frechet_distance)
