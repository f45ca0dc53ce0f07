# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""What pages show of the shipped bundles: pictures, licences and figures, as their cards and ``measured.json`` say."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from monai_genaug.experiments.bundle_privacy import BundlePrivacy
from monai_genaug.experiments.statistics import mean_and_interval
from monai_genaug.generators import GeneratorSpec, bundle_folder, list_generators

_MEAN_OF_LABELS = 3  # in the list of a run: anterior, posterior, whole, mean of the first two
_FEATURES = (
    ("frechet_distance", "Frechet", ".1f"),
    ("precision", "precision", ".2f"),
    ("recall", "recall", ".2f"),
    ("coverage", "coverage", ".2f"),
)


def gallery(docs: Path) -> str:
    """A card with picture for each bundle, linked to its page, those that may be used commercially first."""
    lines = ["::::{grid} 1 1 2 2", ":gutter: 3", ":class-container: gallery", ""]
    for name, spec in sorted(list_generators().items(), key=lambda item: "-NC" in item[1].weights_licence):
        folder = bundle_folder(name)
        picture = Path(os.path.relpath(folder / "docs" / "samples.png", docs)).as_posix()
        lines += [
            f":::{{grid-item-card}} {name}",
            f":link: cards/{name}",
            ":link-type: doc",
            f":img-bottom: {picture}",
            f":img-alt: samples of {name}",
            "",
            _first_sentence(folder),
            "",
            " ".join(_badges(spec)),
            ":::",
            "",
        ]
    return "\n".join([*lines, "::::"])


def bundle_table(docs: Path) -> str:
    """Figures of all bundles that have any, synthetic images with real training images in brackets."""
    titles = ["bundle", "images", *(title for _, title, _ in _FEATURES), "audit, weights", "audit, samples"]
    lines = [f"| {' | '.join(titles)} |", "|---" * len(titles) + "|"]
    for name in list_generators():
        path = bundle_folder(name) / "docs" / "measured.json"
        measured = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        if "features" in measured:
            cells = [f"[{name}](../cards/{name}.md)", *_feature_cells(measured["features"]["rows"]), *_audit(measured)]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def downstream_table(name: str) -> str:
    """Dice of networks that learnt from real volumes, from samples of a bundle of pairs, or from both."""
    measured = json.loads((bundle_folder(name) / "docs" / "measured.json").read_text(encoding="utf-8"))
    lines = ["| training data | geometric augmentation | Dice | seeds |", "|---|---|---|---|"]
    for row in measured["downstream"]:
        mean, low, high = mean_and_interval([run[_MEAN_OF_LABELS] for run in row["runs"]])
        geometric = "yes" if row["geometric"] else "no"
        lines.append(f"| {row['source']} | {geometric} | {mean:.3f} [{low:.3f}, {high:.3f}] | {len(row['runs'])} |")
    return "\n".join(lines)


def _first_sentence(bundle: Path) -> str:
    """The first sentence of the card that says what the bundle makes."""
    text = " ".join((bundle / "docs" / "README.md").read_text(encoding="utf-8").split())
    found = re.search(r"\bMakes .*?(?=[.:] )", text)
    if found is None:
        raise ValueError(f"the card of {bundle.name} has no sentence that starts with 'Makes'.")
    return f"{found[0]}."


def _badges(spec: GeneratorSpec) -> list[str]:
    colour = "warning" if "-NC" in spec.weights_licence else "success"
    badges = [f"{{bdg-{colour}}}`{spec.weights_licence}`"]
    if spec.classes:
        badges.append(f"{{bdg-secondary}}`{len(spec.classes)} classes`")
    if any(output.kind == "mask" for output in spec.outputs.values()):
        badges.append("{bdg-primary}`with masks`")
    if spec.warnings:
        badges.append("{bdg-danger}`see its warnings`")
    return badges


def _feature_cells(rows: list[Mapping[str, Any]]) -> list[str]:
    synthetic, training = (
        next(row for row in rows if row["scope"] == "all" and row["images"] == images)
        for images in ("synthetic", "training")
    )
    pairs = ((synthetic["values"][name], training["values"][name], form) for name, _, form in _FEATURES)
    return [str(synthetic["count"]), *(f"{made:{form}} ({real:{form}})" for made, real, form in pairs)]


def _audit(measured: Mapping[str, Any]) -> list[str]:
    """Verdicts of the audit: weights, and samples alone."""
    if "privacy" not in measured:
        return ["not measured", "not measured"]
    verdicts = BundlePrivacy.from_dict(measured["privacy"]).verdicts
    return [_verdict([one.ok for one in verdicts]), _verdict([one.samples_ok for one in verdicts])]


def _verdict(passed: Sequence[bool]) -> str:
    return "passes" if all(passed) else f"{sum(passed)} of {len(passed)} pass" if any(passed) else "fails"
