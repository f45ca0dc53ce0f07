# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Synthetic images beside real ones of a user."""

from __future__ import annotations

import pytest
import torch

from monai_genaug.experiments.feature_comparison import (
    ImageFeatures,
    compare_features,
    comparison_section,
    real_halves,
)
from monai_genaug.metrics import FEATURE_METRICS, feature_metric_values


def features(count: int, shift: float = 0.0, seed: int = 0, classes: tuple[str, ...] | None = None) -> ImageFeatures:
    rows = torch.randn(count, 4, generator=torch.Generator().manual_seed(seed)) + shift
    return ImageFeatures(rows, None if classes is None else tuple(classes[i % len(classes)] for i in range(count)))


def test_halves_have_every_class_and_share_no_subject() -> None:
    classes = ["a", "a", "a", "b"] * 20
    subjects = [number // 4 * 2 + (classes[number] == "b") for number in range(80)]
    halves = real_halves(80, classes, subjects)
    assert sorted(halves.reference + halves.others) == list(range(80))
    parts = [{subjects[place] for place in part} for part in (halves.reference, halves.others)]
    assert not parts[0] & parts[1]
    for part in (halves.reference, halves.others):
        assert sum(classes[place] == "b" for place in part) == 10
    assert halves == real_halves(80, classes, subjects)
    assert halves != real_halves(80, classes, subjects, seed=1)


@pytest.mark.parametrize("count", [6, 11])
def test_few_items_are_all_the_reference(count: int) -> None:
    halves = real_halves(count)
    assert (len(halves.reference), len(halves.others)) == (count, 0)
    assert [row.images for row in compare_features(features(count), halves, features(9), "x").rows] == ["synthetic"]


def test_one_subject_cannot_be_in_two_halves() -> None:
    assert real_halves(30, None, ["a"] * 30).others == ()


def test_rows_are_the_metrics_of_the_sets() -> None:
    real, made = features(40), features(15, shift=1.0, seed=1)
    halves = real_halves(40)
    synthetic, others = compare_features(real, halves, made, "x").rows
    reference = real.rows[torch.tensor(halves.reference)]
    assert synthetic.values == feature_metric_values(reference, made.rows, FEATURE_METRICS)
    expected = feature_metric_values(reference, real.rows[torch.tensor(halves.others)], FEATURE_METRICS)
    assert others.values == expected
    assert (synthetic.count, others.count, synthetic.n_test) == (15, 20, 20)
    assert synthetic.values["frechet_distance"] > 3 * others.values["frechet_distance"]


def test_classes_with_enough_images_have_rows_of_their_own() -> None:
    real = features(40, classes=("a", "b", "a", "c"))
    made = features(20, seed=1, classes=("b", "a", "z", "a"))
    halves = real_halves(40, real.classes)
    scopes = [(row.scope, row.images) for row in compare_features(real, halves, made, "x", per_class=True).rows]
    assert scopes == [("all", "synthetic"), ("all", "real"), ("a", "synthetic"), ("a", "real")]


def test_the_table_has_a_line_per_row() -> None:
    quality = compare_features(features(40), real_halves(40), features(10), "medical")
    lines = comparison_section(quality).splitlines()
    rows = [line for line in lines if line.startswith(("| synthetic", "| real"))]
    assert len(rows) == 2
    assert {line.count("|") for line in lines if line.startswith("|")} == {11}
    assert f"| {quality.rows[0].values['frechet_distance']:.3f} |" in rows[0]


def test_what_cannot_be_compared_is_named() -> None:
    with pytest.raises(ValueError, match="5 real images, needed: 6"):
        real_halves(5)
    with pytest.raises(ValueError, match="5 synthetic images, needed: 6"):
        compare_features(features(20), real_halves(20), features(5), "x")
    with pytest.raises(ValueError, match="the synthetic images have no classes"):
        compare_features(features(20, classes=("a",)), real_halves(20), features(9), "x", per_class=True)
    made = features(9, classes=("b",))
    with pytest.raises(ValueError, match=r"no class in common: \['a'\] and \['b'\]"):
        compare_features(features(20, classes=("a",)), real_halves(20), made, "x", per_class=True)
