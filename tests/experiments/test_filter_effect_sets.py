# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
import torch
from torch import Tensor

from monai_genaug.experiments.filter_effect_sets import METRICS, choose_rows, compare_filters
from monai_genaug.metrics import feature_metric_values
from tests.experiments.toy_images import part

HELD_OUT = part("held out", (40, 30))
CANDIDATES = {0: part("a", (100, 1)).of_class(0), 1: part("b", (1, 100)).of_class(1)}
EVERYTHING = {0: torch.arange(100), 1: torch.arange(100)}


def pixels(images: Tensor) -> Tensor:
    return images.flatten(1).float() / 255.0


def test_figures_are_those_of_the_metrics() -> None:
    few = {0: torch.arange(40), 1: torch.arange(30)}  # as many as are drawn: every draw has all of them
    found = compare_filters(HELD_OUT, {"few": few}, CANDIDATES, pixels, draws=2)["few"]
    real, centre = pixels(HELD_OUT.images), pixels(HELD_OUT.images).mean(dim=0)
    chosen = torch.cat([pixels(CANDIDATES[0][:40]), pixels(CANDIDATES[1][:30])])
    assert found.values == pytest.approx(feature_metric_values(real - centre, chosen - centre, METRICS), rel=1e-6)
    assert list(found.spread.values()) == pytest.approx([0.0] * 6, abs=1e-6)
    assert found.count == 70


def test_without_filter_the_control_is_the_same() -> None:
    found = compare_filters(HELD_OUT, {"none": EVERYTHING}, CANDIDATES, pixels, draws=3)["none"]
    assert found.values == found.control
    assert found.spread["frechet_distance"] > 0


def test_a_filter_that_keeps_one_kind_loses_coverage() -> None:
    """Only bars that lie at one end are kept; the control has as many samples of all places."""
    places = {number: images.float().sum(dim=(1, 2 + number)).argmax(dim=1) for number, images in CANDIDATES.items()}
    rows = {number: (place < 7).nonzero().flatten() for number, place in places.items()}
    found = compare_filters(HELD_OUT, {"one end": rows}, CANDIDATES, pixels, draws=3)["one end"]
    assert found.count == sum(min(limit, len(rows[number])) for number, limit in ((0, 40), (1, 30)))
    for metric in ("coverage", "recall", "vendi_score"):
        assert found.values[metric] < found.control[metric], metric
    assert found.values["frechet_distance"] > found.control["frechet_distance"]


def test_filters_that_leave_too_few_are_left_out() -> None:
    rows = {"few": {0: torch.arange(19), 1: torch.arange(100)}, "enough": {0: torch.arange(20), 1: torch.arange(20)}}
    found = compare_filters(HELD_OUT, rows, CANDIDATES, pixels, draws=2)
    assert {name: one.count for name, one in found.items()} == {"enough": 40}


def test_rows_are_a_function_of_the_key() -> None:
    rows = torch.arange(10, 60)
    state = torch.get_rng_state()
    chosen = choose_rows(rows, 7, "a", 1)
    assert torch.equal(chosen, choose_rows(rows, 7, "a", 1))
    assert not torch.equal(chosen, choose_rows(rows, 7, "a", 2))
    assert set(chosen.tolist()) <= set(rows.tolist())
    assert len(set(chosen.tolist())) == 7
    assert torch.equal(torch.get_rng_state(), state)
    assert sorted(choose_rows(rows, 99, 0).tolist()) == rows.tolist()
