# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""What was measured of filters, and the tables of the page about them."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from monai_genaug.experiments.filter_effect_criteria import FILTERS, NONE
from monai_genaug.experiments.filter_effect_downstream import ARMS, BOTH, REAL, SYNTHETIC, Effort, Runs
from monai_genaug.experiments.filter_effect_sets import FEWEST, METRICS, FilteredSet
from monai_genaug.experiments.statistics import mean_and_interval

__all__ = ["FilterEffect", "effect_section", "filter_section"]

_WIDTH = 120
_VERSION = 1
_SCORES = {"balanced_accuracy": "balanced accuracy", "auc": "AUC"}
_NAMES_OF_FEATURES = {"random": "a random network", "judge": "the judge, a classifier of the real images"}


@dataclass(frozen=True)
class FilterEffect:
    """What was measured of the filters of a generator.

    Args:
        name: of the generator.
        sha256: of its weights.
        classes: class id -> name.
        candidates: samples per class.
        thresholds: name of a criterion -> what was found for it.
        shares: filter -> class id -> share of the candidates that is accepted.
        real_shares: criterion filter -> class id -> share of the real test images that is accepted.
        sets: name of the features -> filter -> figures; ``"training images"`` among the filters.
        arms: (training data, filter) -> scores of each seed.
        selection: share kept of the training part -> scores of each seed.
        effort: sizes of the trainings.
    """

    name: str
    sha256: str
    classes: Mapping[int, str]
    candidates: int
    thresholds: Mapping[str, float]
    shares: Mapping[str, Mapping[int, float]]
    real_shares: Mapping[str, Mapping[int, float]]
    sets: Mapping[str, Mapping[str, FilteredSet]]
    arms: Mapping[tuple[str, str], Runs]
    selection: Mapping[float, Runs]
    effort: Effort

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as JSON holds them; the inverse of :meth:`from_dict`."""
        values = {name: getattr(self, name) for name in ("name", "sha256", "candidates", "thresholds")}
        return {
            "version": _VERSION,
            **values,
            "classes": {str(number): name for number, name in self.classes.items()},
            "shares": _with_names(self.shares),
            "real_shares": _with_names(self.real_shares),
            "sets": {name: {own: asdict(one) for own, one in sets.items()} for name, sets in self.sets.items()},
            "arms": [{"data": data, "filter": name, "runs": runs} for (data, name), runs in self.arms.items()],
            "selection": [{"kept": kept, "runs": runs} for kept, runs in self.selection.items()],
            "effort": asdict(self.effort),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> FilterEffect:
        """Builds the record from what :meth:`to_dict` returned.

        Raises:
            ValueError: another version.
        """
        if values["version"] != _VERSION:
            raise ValueError(f"the effect of filters has version {values['version']}, needed: {_VERSION}.")
        plain = {name: values[name] for name in ("name", "sha256", "candidates", "thresholds")}
        return cls(
            **plain,
            classes={int(number): name for number, name in values["classes"].items()},
            shares=_with_numbers(values["shares"]),
            real_shares=_with_numbers(values["real_shares"]),
            sets={
                name: {own: FilteredSet(**one) for own, one in sets.items()} for name, sets in values["sets"].items()
            },
            arms={(arm["data"], arm["filter"]): arm["runs"] for arm in values["arms"]},
            selection={one["kept"]: one["runs"] for one in values["selection"]},
            effort=Effort(**values["effort"]),
        )


def _with_names(shares: Mapping[str, Mapping[int, float]]) -> dict[str, dict[str, float]]:
    return {name: {str(number): share for number, share in own.items()} for name, own in shares.items()}


def _with_numbers(shares: Mapping[str, Mapping[str, float]]) -> dict[str, dict[int, float]]:
    return {name: {int(number): share for number, share in own.items()} for name, own in shares.items()}


def effect_section(effects: Sequence[FilterEffect]) -> str:
    """Markdown of everything that was measured."""
    parts = [part for effect in effects for part in _parts(effect)]
    return "\n\n".join(part if part.startswith(("|", "#")) else textwrap.fill(part, _WIDTH) for part in parts)


def filter_section(effect: FilterEffect) -> str:
    """The part of a model card: what is accepted, what is lost, and what it did for a classifier."""
    random = effect.sets["random"]
    parts = [
        "### What filters do to the samples",
        "Filters (`monai_genaug.quality`) are fitted to the training part and judged against the test part, in "
        f"features that none of them uses: `realism` {effect.thresholds['realism']:.3f} in medical features, a "
        "`classifier` that finds the class with a probability of 0.8, `memorisation` from a distance of "
        f"{effect.thresholds['memorisation']:.3f} in thumbnails on. Accepted of {effect.candidates} samples of each "
        "class, and of the real test images:",
        _acceptance_table(effect),
        "In features of a random network; in brackets equally many samples of each class without filter:",
        _sets_table(random),
        f"Does filtering help? {_effort_text(effect.effort)}",
        _arms_table(effect.arms),
        _verdict(effect.arms),
    ]
    return "\n\n".join(parts)


def _verdict(arms: Mapping[tuple[str, str], Runs]) -> str:
    """Which filters changed a score by more than chance."""
    found = []
    for (source, name), runs in arms.items():
        base = arms.get((source, NONE))
        if name in FILTERS and name != NONE and base is not None:
            for score, title in _SCORES.items():
                mean, low, high = mean_and_interval([a[score] - b[score] for a, b in zip(runs, base, strict=True)])
                if low > 0.0 or high < 0.0:
                    found.append(f"{name} on {source}, {title} {mean:+.3f}")
    if not found:
        return "**Filters: no difference** that so few seeds could show: every interval of a difference holds 0."
    return (
        f"**Filters: differences beyond chance:** {'; '.join(found)}. With so many intervals some exclude 0 by chance."
    )


def _parts(effect: FilterEffect) -> list[str]:
    return [
        f"### {effect.name}",
        f"Accepted of {effect.candidates} samples of each class, and of the real test images. Realism from "
        f"{effect.thresholds['realism']:.3f} on, distance to training images from "
        f"{effect.thresholds['memorisation']:.3f} on.",
        _acceptance_table(effect),
        *(part for features, sets in effect.sets.items() for part in _set_parts(features, sets)),
        _effort_text(effect.effort),
        _arms_table(effect.arms),
        "The whole training part, and what instance selection in medical features keeps of each class; no synthetic "
        "images:",
        _selection_table(effect.selection),
    ]


def _acceptance_table(effect: FilterEffect) -> str:
    titles = [f"{name}{real}" for real in ("", ", real") for name in effect.classes.values()]
    rows = []
    for name in FILTERS:
        if name != NONE:
            shares = [each[name][number] for each in (effect.shares, effect.real_shares) for number in effect.classes]
            rows.append([name, *(f"{100 * share:.1f} %" for share in shares)])
    return _table(["filter", *titles], rows)


def _set_parts(features: str, sets: Mapping[str, FilteredSet]) -> list[str]:
    spread = ", ".join(f"{max(found.spread[metric] for found in sets.values()):.2g}" for metric in METRICS)
    return [
        f"Against the test images in the features of {_NAMES_OF_FEATURES[features]}; in brackets equally many samples "
        f"of each class without filter. Largest standard deviation over draws: {spread}.",
        _sets_table(sets),
    ]


def _sets_table(sets: Mapping[str, FilteredSet]) -> str:
    rows = []
    for name, found in sets.items():
        cells = [_beside(found, metric, name in FILTERS and name != NONE) for metric in METRICS]
        rows.append([name, str(found.count), *cells])
    rows += [[name, f"fewer than {FEWEST} of a class", *[""] * len(METRICS)] for name in FILTERS if name not in sets]
    return _table(["samples", "number", "Frechet", *METRICS[1:5], "Vendi"], rows)


def _beside(found: FilteredSet, metric: str, has_control: bool) -> str:
    value = _number(found.values[metric])
    return f"{value} ({_number(found.control[metric])})" if has_control else value


def _effort_text(effort: Effort) -> str:
    return (
        f"A classifier, {effort.steps} steps with {effort.batch_size} images in every row: {effort.real} real images "
        f"of each class, up to {effort.synthetic} samples of each class, or both in equal parts. Scores on the real "
        f"test images, mean over {effort.seeds} seeds with 95 % confidence interval (Student's t), and the paired "
        "difference to the same data without filter."
    )


def _arms_table(arms: Mapping[tuple[str, str], Runs]) -> str:
    rows = []
    for source, name in ARMS:
        if (source, name) in arms:
            base = None if name == NONE else arms.get((source, NONE))
            rows.append([source, "" if source == REAL else name, *_cells(arms[source, name], base)])
    for source in (SYNTHETIC, BOTH):
        missing = [name for own, name in ARMS if own == source and (own, name) not in arms]
        rows += [[source, name, "no samples of some class", "", "", ""] for name in missing]
    return _table(["training data", "filter", *_score_titles()], rows)


def _selection_table(selection: Mapping[float, Runs]) -> str:
    base = selection[1.0]
    rows = [
        [f"{100 * share:.0f} %", *_cells(runs, None if share == 1.0 else base)] for share, runs in selection.items()
    ]
    return _table(["kept", *_score_titles()], rows)


def _score_titles() -> list[str]:
    return [title for name in _SCORES.values() for title in (name, "difference")]


def _cells(runs: Runs, base: Runs | None) -> list[str]:
    cells = []
    for name in _SCORES:
        own = [run[name] for run in runs]
        cells.append(_interval(own))
        cells.append("" if base is None else _interval([a - run[name] for a, run in zip(own, base, strict=True)], "+"))
    return cells


def _interval(values: Sequence[float], sign: str = "") -> str:
    return "{:{s}.3f} [{:{s}.3f}, {:{s}.3f}]".format(*mean_and_interval(values), s=sign)


def _number(value: float) -> str:
    return f"{value:#.3g}".rstrip(".")


def _table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [titles, ["---"] * len(titles), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
