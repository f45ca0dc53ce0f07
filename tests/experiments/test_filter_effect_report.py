# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json

import pytest

from monai_genaug.experiments.filter_effect_criteria import ALL, FILTERS, NONE
from monai_genaug.experiments.filter_effect_downstream import ARMS, BOTH, RANDOM, REAL, SYNTHETIC, Effort
from monai_genaug.experiments.filter_effect_report import FilterEffect, effect_section, filter_section
from monai_genaug.experiments.filter_effect_sets import METRICS, FilteredSet


def _runs(*accuracies: float) -> list[dict[str, float]]:
    return [{"balanced_accuracy": value, "auc": value + 0.05} for value in accuracies]


def _set(value: float, control: float) -> FilteredSet:
    return FilteredSet(90, *(dict.fromkeys(METRICS, number) for number in (value, value / 100, control)))


def effect() -> FilterEffect:
    """Made-up figures; the filter leaves nothing of some class."""
    shares = {name: {0: 1.0, 1: 0.125} for name in FILTERS}
    arms = {arm: _runs(0.7, 0.8, 0.9) for arm in ARMS if arm[1] not in (ALL, RANDOM)}
    arms[BOTH, "realism"] = _runs(0.72, 0.81, 0.93)
    return FilterEffect(
        name="toy",
        sha256="5eed",
        classes={0: "a", 1: "b"},
        candidates=200,
        thresholds={"realism": 0.9, "memorisation": 0.25},
        shares=shares,
        real_shares={name: {0: 0.75, 1: 0.5} for name in FILTERS},
        sets={"random": {"training images": _set(1.5, 2.5), NONE: _set(12.0, 12.0), "realism": _set(0.5, 0.625)}},
        arms=arms,
        selection={1.0: _runs(0.5, 0.6), 0.5: _runs(0.4, 0.6)},
        effort=Effort(real=7, seeds=3),
    )


def test_figures_stand_in_their_tables() -> None:
    lines = effect_section([effect()]).splitlines()
    assert lines[0] == "### toy"
    assert "| filter | a | b | a, real | b, real |" in lines
    assert "| realism | 100.0 % | 12.5 % | 75.0 % | 50.0 % |" in lines
    assert "| training images | 90 | 1.50 | 1.50 | 1.50 | 1.50 | 1.50 | 1.50 |" in lines
    assert "| none | 90 | 12.0 | 12.0 | 12.0 | 12.0 | 12.0 | 12.0 |" in lines
    assert "| realism | 90 | 0.500 (0.625) |" in "\n".join(lines)
    assert all(len(line) <= 120 for line in lines if not line.startswith("|"))
    text = " ".join(lines)
    assert "| all together | fewer than 20 of a class |" in text
    assert "Largest standard deviation over draws: 0.12, 0.12" in text
    assert "7 real images of each class" in text
    assert "Realism from 0.900 on" in text


def test_intervals_are_those_of_student_and_differences_are_paired() -> None:
    lines = effect_section([effect()]).splitlines()
    # mean 0.8, sd 0.1, t(0.975, 2) = 4.3027: half width 0.248; differences 0.02, 0.01, 0.03: 0.02 and 0.025
    assert "| real + synthetic | none | 0.800 [0.552, 1.048] |  | 0.850 [0.602, 1.098] |  |" in lines
    (row,) = (line for line in lines if line.startswith("| real + synthetic | realism |"))
    assert row.count("+0.020 [-0.005, +0.045]") == 2
    assert f"| {REAL} |  | 0.800" in "\n".join(lines)
    # differences -0.1 and 0: mean -0.05, sd 0.0707, t(0.975, 1) = 12.706: half width 0.635
    assert "| 50 % | 0.500 [-0.771, 1.771] | -0.050 [-0.685, +0.585] |" in "\n".join(lines)


def test_arms_without_samples_are_named() -> None:
    text = effect_section([effect(), effect()])
    assert text.count("### toy") == 2
    for source in (BOTH, SYNTHETIC):
        assert text.count(f"| {source} | {ALL} | no samples of some class |") == 2


def test_a_record_survives_json() -> None:
    stored = json.loads(json.dumps(effect().to_dict()))
    assert FilterEffect.from_dict(stored) == effect()
    with pytest.raises(ValueError, match="has version 9, needed: 1"):
        FilterEffect.from_dict({**stored, "version": 9})


def test_the_card_has_acceptance_losses_scores_and_a_verdict() -> None:
    section = filter_section(effect())
    assert section.startswith("### What filters do to the samples\n\n")
    page = effect_section([effect()])
    for row in ("| realism | 100.0 % | 12.5 % | 75.0 % | 50.0 % |", "| real + synthetic | none | 0.800 [0.552, 1.048]"):
        assert row in section
        assert row in page
    assert "| 50 % |" not in section
    # all differences hold 0: 0.02 with a half width of 0.025
    assert section.endswith(
        "**Filters: no difference** that so few seeds could show: every interval of a difference holds 0."
    )


def test_differences_beyond_chance_are_named() -> None:
    found = effect()
    arms = {**found.arms, (BOTH, "realism"): _runs(0.6, 0.701, 0.799), (BOTH, "classifier"): _runs(0.9, 1.0, 1.1)}
    verdict = filter_section(FilterEffect(**{**vars(found), "arms": arms})).split("\n\n")[-1]
    assert verdict.startswith(
        "**Filters: differences beyond chance:** realism on real + synthetic, balanced accuracy -0.1"
    )
    assert "classifier on real + synthetic, AUC +0.2" in verdict
