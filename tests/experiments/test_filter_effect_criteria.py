# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest
import torch

from monai_genaug.experiments.filter_effect_criteria import (
    ALL,
    FILTERS,
    NONE,
    accepted_rows,
    draw_candidates,
    fit_criteria,
    unit_images,
)
from monai_genaug.experiments.real_parts import as_levels
from monai_genaug.metrics import feature_extractor, realism_scores
from monai_genaug.quality import FilteredGenerator, PixelThumbnails, SampleCriterion
from tests.experiments.toy_images import AnyBars, FreshBars, bar_spec, parts, unlabelled

REAL = parts()
GENERATOR = FreshBars(bar_spec("fresh"))


@pytest.fixture(scope="module")
def work_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("filters")


@pytest.fixture(scope="module")
def criteria(work_dir: Path) -> dict[str, SampleCriterion]:
    return fit_criteria(REAL.train, 2, work_dir, steps=60)


def test_thresholds_are_quantiles_of_a_fifth_held_back(criteria: dict[str, SampleCriterion]) -> None:
    order = torch.randperm(200, generator=torch.Generator().manual_seed(1)).tolist()
    held_back = order[::5]
    rest = [row for row in order if row not in held_back]
    images = unit_images(REAL.train.images)
    medical = feature_extractor("medical")(images)
    scores = realism_scores(medical[rest], medical[held_back])
    assert criteria["realism"].threshold == pytest.approx(float(scores.quantile(0.25)), rel=1e-4)
    assert float((scores >= criteria["realism"].threshold).double().mean()) == 0.75
    thumbnails = PixelThumbnails()
    views = [thumbnails(view[held_back]) for view in (images, images.flip(2), images.flip(3))]
    distances = [torch.cdist(view.double(), thumbnails(images)[rest].double()).amin(dim=1) for view in views]
    nearest = torch.stack(distances).amin(dim=0)
    assert criteria["memorisation"].threshold == pytest.approx(float(nearest.quantile(0.05)), rel=1e-5)


def test_filters_accept_what_their_criteria_do(criteria: dict[str, SampleCriterion], work_dir: Path) -> None:
    candidates = draw_candidates(AnyBars(bar_spec("any")), 60, work_dir)
    rows = accepted_rows(criteria, candidates)
    assert list(rows) == list(FILTERS)
    for number, images in candidates.items():
        verdicts = {
            name: one.accept({"image": unit_images(images)}, [number] * 60).nonzero().flatten().tolist()
            for name, one in criteria.items()
        }
        assert {name: rows[name][number].tolist() for name in verdicts} == verdicts
        assert rows[NONE][number].tolist() == list(range(60))
        assert set(rows[ALL][number].tolist()) == set.intersection(*(set(some) for some in verdicts.values()))
    is_vertical = len(rows["classifier"][0]), len(rows["classifier"][1])
    assert is_vertical[0] > 30 > is_vertical[1]  # three quarters of these images are vertical, whatever was asked for


def test_copies_are_rejected_as_memorised_alone(criteria: dict[str, SampleCriterion]) -> None:
    rows = accepted_rows(criteria, {number: REAL.train.of_class(number)[:30] for number in (0, 1)})
    assert [len(some) for some in rows["memorisation"].values()] == [0, 0]
    assert [len(some) for some in rows[ALL].values()] == [0, 0]
    assert all(len(some) for some in rows["realism"].values())


def test_candidates_are_what_a_filtered_generator_makes(criteria: dict[str, SampleCriterion], work_dir: Path) -> None:
    generator = AnyBars(bar_spec("any"))
    candidates = draw_candidates(generator, 60, work_dir)
    accepted = accepted_rows(criteria, candidates)["classifier"][0]
    classifier = criteria["classifier"]
    in_range = type(classifier)(classifier.network, classifier.confidence, value_range=(-1.0, 1.0))
    made = FilteredGenerator(generator, [in_range]).sample(accepted.tolist(), 0)["image"]
    same = (as_levels(made, (-1.0, 1.0)) == candidates[0][accepted]).flatten(1).all(dim=1)
    assert 0 < len(accepted) < 60
    assert float(same.double().mean()) > 0.9  # rounding to levels decides the others


def test_what_is_stored_is_read(criteria: dict[str, SampleCriterion], work_dir: Path) -> None:
    (path,) = work_dir.glob("filter_*.pt")
    before, state = path.stat().st_mtime_ns, torch.get_rng_state()
    again = fit_criteria(REAL.train, 2, work_dir, steps=60)
    assert {name: one.identity for name, one in again.items()} == {n: one.identity for n, one in criteria.items()}
    assert path.stat().st_mtime_ns == before
    assert torch.equal(torch.get_rng_state(), state)
    small, large = draw_candidates(GENERATOR, 5, work_dir), draw_candidates(GENERATOR, 40, work_dir)
    assert all(torch.equal(large[number][:5], images) for number, images in small.items())
    assert torch.equal(draw_candidates(GENERATOR, 5, work_dir)[1], small[1])


def test_classes_are_needed(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="training images have no labels"):
        fit_criteria(unlabelled(REAL).train, 2, tmp_path)
    with pytest.raises(ValueError, match="'plain' has no classes"):
        draw_candidates(FreshBars(bar_spec("plain", classes=None)), 5, tmp_path)
    assert not list(tmp_path.iterdir())
