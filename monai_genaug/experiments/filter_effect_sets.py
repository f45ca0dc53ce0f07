# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""What a filter does to a set of samples: distances to held-out real images, and what is lost."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

import torch
from torch import Tensor

from monai_genaug.experiments.real_parts import LabelledImages
from monai_genaug.generators import derive_seed
from monai_genaug.metrics import feature_metric_values

__all__ = ["FEWEST", "METRICS", "FilteredSet", "choose_rows", "compare_filters"]

METRICS = ("frechet_distance", "precision", "recall", "density", "coverage", "vendi_score")
FEWEST = 20
"""Candidates of each class that a filter must leave to be compared."""

Rows = Mapping[int, Tensor]
"""Class id -> row numbers of candidates."""


@dataclass(frozen=True)
class FilteredSet:
    """Figures of the samples that a filter lets through.

    Args:
        count: samples that were compared with the held-out images.
        values: metric of :data:`METRICS` -> mean over several draws of so many samples.
        spread: metric -> standard deviation over the draws.
        control: metric -> mean of equally many samples of each class that were drawn at random from all candidates.
    """

    count: int
    values: Mapping[str, float]
    spread: Mapping[str, float]
    control: Mapping[str, float]


def compare_filters(
    held_out: LabelledImages,
    accepted: Mapping[str, Rows],
    candidates: Mapping[int, Tensor],
    extract: Callable[[Tensor], Tensor],
    draws: int = 5,
) -> dict[str, FilteredSet]:
    """Compares what each filter accepts with held-out images, in features.

    Of each class at most as many samples are drawn as there are held-out images. Filters that accept fewer than 20
    candidates of a class are left out. Features are centred at the mean of the held-out images.

    Args:
        held_out: real images with labels.
        accepted: filter -> class id -> rows of the candidates.
        candidates: class id -> uint8 images.
        extract: uint8 images ``(n, c, *spatial)`` -> features ``(n, d)``; should be none that a filter used.
        draws: at least two.
    """
    real = extract(held_out.images)
    centre = real.mean(dim=0)  # which only the Vendi score notices: it looks at directions
    real, table = real - centre, {number: extract(images) - centre for number, images in candidates.items()}
    limits = {number: len(held_out.of_class(number)) for number in candidates}
    everything = {number: torch.arange(len(rows)) for number, rows in table.items()}
    found = {}
    for name, rows in accepted.items():
        if all(len(some) >= FEWEST for some in rows.values()):
            counts = {number: min(limits[number], len(some)) for number, some in rows.items()}
            own = [_values(real, table, rows, counts, draw) for draw in range(draws)]
            others = [_values(real, table, everything, counts, draw) for draw in range(draws)]
            spread = {metric: stdev(values[metric] for values in own) for metric in METRICS}
            found[name] = FilteredSet(sum(counts.values()), _means(own), spread, _means(others))
    return found


def choose_rows(rows: Tensor, count: int, *key: int | str) -> Tensor:
    """At most ``count`` of some rows, in a random order that follows from ``key``."""
    generator = torch.Generator().manual_seed(derive_seed("filter effect", *key))
    return rows[torch.randperm(len(rows), generator=generator)[:count]]


def _values(real: Tensor, table: Rows, rows: Rows, counts: Mapping[int, int], draw: int) -> dict[str, float]:
    chosen = [table[number][choose_rows(rows[number], counts[number], draw, number)] for number in table]
    return feature_metric_values(real, torch.cat(chosen), METRICS)


def _means(draws: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {metric: fmean(values[metric] for values in draws) for metric in METRICS}
