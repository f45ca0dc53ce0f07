# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Measures what filters do to samples of generators, and writes it into their cards and into the page about filters.

``python -m monai_genaug.experiments.filter_effect --dataset-dir $GENAUG_DATA --work-dir runs/filters [NAME ...]``

The criteria are fitted to the training part; figures are of the test part, which nothing here has seen. Every stage
leaves its result in the work folder; a run that was stopped goes on with the next one.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated

import torch
import typer
from torch import Tensor

from monai_genaug.experiments.bundle_card import write_measured
from monai_genaug.experiments.bundle_quality import opened_bundle
from monai_genaug.experiments.card_text import insert_measured
from monai_genaug.experiments.classification import classifier_features
from monai_genaug.experiments.filter_effect_criteria import accepted_rows, draw_candidates, fit_criteria, unit_images
from monai_genaug.experiments.filter_effect_downstream import Effort, run_arms, run_selection
from monai_genaug.experiments.filter_effect_report import FilterEffect, effect_section
from monai_genaug.experiments.filter_effect_sets import FilteredSet, Rows, compare_filters
from monai_genaug.experiments.image_judge import make_judge
from monai_genaug.experiments.real_parts import RealParts
from monai_genaug.experiments.stages import stage_key, stored_json, stored_tensors
from monai_genaug.generators import SampleGenerator
from monai_genaug.metrics import feature_extractor
from monai_genaug.quality import MemorisationCriterion, RealismCriterion

__all__ = ["measure_filter_effect", "measure_filters"]

_NAMES = (
    "chest_xray_cgan",
    "chest_xray_cvae",
    "chest_xray_joint_vae",
    "chest_xray_rflow",
    "breast_us_cgan",
    "breast_us_cvae",
)
_TRAINING_IMAGES = 1000


def measure_filters(
    dataset_dir: Annotated[Path, typer.Option(help="folder of data sets")],
    names: Annotated[list[str] | None, typer.Argument(help="bundles; some shipped ones by default")] = None,
    work_dir: Annotated[Path, typer.Option(help="intermediate results; a stopped run goes on")] = Path("runs/filters"),
    page: Annotated[Path, typer.Option(help="Markdown with the two marks")] = Path("docs/results/filter_effect.md"),
    candidates: Annotated[int, typer.Option(help="samples per class that the filters choose from")] = 2000,
    fit_steps: Annotated[int, typer.Option(help="of the filter's classifier and of the judge")] = 400,
    steps: Annotated[int, typer.Option(help="of each of the compared trainings")] = 150,
    seeds: Annotated[int, typer.Option(help="trainings of each kind")] = 5,
) -> None:
    """Measures, and writes ``docs/measured.json`` and the cards of the bundles, and the tables of the page."""
    effort, found = Effort(steps=steps, seeds=seeds), []
    for name in names or _NAMES:
        generator, folder, parts = opened_bundle(name, dataset_dir, work_dir)
        found.append(measure_filter_effect(generator, parts, work_dir, candidates, fit_steps, effort=effort))
        write_measured(folder, {"filters": found[-1].to_dict()})
    insert_measured(page, effect_section(found))


def measure_filter_effect(
    generator: SampleGenerator,
    parts: RealParts,
    work_dir: Path,
    n_candidates: int = 2000,
    fit_steps: int = 400,
    draws: int = 3,
    effort: Effort | None = None,
) -> FilterEffect:
    """Measures the filters of one generator.

    Args:
        generator: has classes, makes the output ``image``.
        parts: real images with labels, in its space.
        work_dir: keeps the results of the stages.
        n_candidates: samples per class that the filters choose from.
        fit_steps: of the trainings of the filter's classifier and of the judge whose features compare the sets.
        draws: of each set that is compared.
        effort: sizes of the other trainings; None for the default ones.

    Raises:
        ValueError: a generator or images without classes.
    """
    spec, effort = generator.spec, effort or Effort()
    candidates = draw_candidates(generator, n_candidates, work_dir)
    criteria = fit_criteria(parts.train, len(candidates), work_dir, fit_steps)
    accepted = accepted_rows(criteria, candidates)
    real = {number: parts.test.of_class(number) for number in candidates}
    identity = [one.identity for one in criteria.values()]
    settings = [spec.replace(provenance=None, warnings=()).to_dict(), n_candidates, identity, parts.test.sha256]
    folder = work_dir / f"arms_{stage_key(settings, dataclasses.asdict(effort))}"
    judge = make_judge(parts, (spec.classes or {}).values(), work_dir, fit_steps)
    axes = len(spec.spatial_shape)
    extractors: dict[str, Callable[[Tensor], Tensor]] = {
        "random": lambda images: feature_extractor("random", axes)(unit_images(images)),
        "judge": lambda images: classifier_features(judge.network, images),
    }
    return FilterEffect(
        name=spec.name,
        sha256=spec.sha256,
        classes=spec.classes or {},
        candidates=n_candidates,
        thresholds={
            name: one.threshold
            for name, one in criteria.items()
            if isinstance(one, (RealismCriterion, MemorisationCriterion))
        },
        shares=_shares(accepted, candidates),
        real_shares=_shares(accepted_rows(criteria, real), real),
        sets={
            name: _stored_sets(
                work_dir / f"sets_{stage_key(settings, judge.key, name, draws)}.json",
                lambda extract=extract: _compared(parts, accepted, candidates, extract, draws),  # type: ignore[misc]
            )
            for name, extract in extractors.items()
        },
        arms=run_arms(parts, candidates, accepted, effort, folder),
        selection=run_selection(parts, _medical_features(parts, axes, work_dir), effort, folder),
        effort=effort,
    )


def _shares(rows: Mapping[str, Rows], images: Mapping[int, Tensor]) -> dict[str, dict[int, float]]:
    return {
        name: {number: len(some) / len(images[number]) for number, some in of_class.items()}
        for name, of_class in rows.items()
    }


def _compared(
    parts: RealParts,
    accepted: Mapping[str, Rows],
    candidates: Mapping[int, Tensor],
    extract: Callable[[Tensor], Tensor],
    draws: int,
) -> dict[str, FilteredSet]:
    """Figures of what each filter accepts, and of real training images."""
    training = {number: parts.train.of_class(number)[:_TRAINING_IMAGES] for number in candidates}
    rows = {"training images": {number: torch.arange(len(images)) for number, images in training.items()}}
    return {
        **compare_filters(parts.test, rows, training, extract, draws),
        **compare_filters(parts.test, accepted, candidates, extract, draws),
    }


def _stored_sets(path: Path, make: Callable[[], Mapping[str, FilteredSet]]) -> dict[str, FilteredSet]:
    stored = stored_json(path, lambda: {name: dataclasses.asdict(one) for name, one in make().items()})
    return {name: FilteredSet(**values) for name, values in stored.items()}


def _medical_features(parts: RealParts, axes: int, work_dir: Path) -> Tensor:
    path = work_dir / f"medical_{parts.train.sha256[:16]}.pt"
    images = parts.train.images
    return stored_tensors(path, lambda: {"rows": feature_extractor("medical", axes)(unit_images(images))})["rows"]


if __name__ == "__main__":
    typer.run(measure_filters)
