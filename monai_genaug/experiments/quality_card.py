# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""The tables of a model card about images and their classes, and its warnings."""

from __future__ import annotations

from monai_genaug.experiments.image_quality import (
    COVERAGE_RATIO,
    NEIGHBOURS,
    RECALL_RATIO,
    SAMPLES_PER_CLASS,
    ClassQuality,
    ImageQuality,
    SetQuality,
)

__all__ = ["quality_section", "quality_warnings"]


def quality_section(quality: ImageQuality) -> str:
    """Markdown of all tables."""
    return "\n".join([*_head(quality), *_class_table(quality), *_set_table(quality.whole), *_foot(quality)])


def quality_warnings(quality: ImageQuality) -> tuple[str, ...]:
    """What a user must know before using the samples, one sentence each; nothing if all criteria hold."""
    warnings = [
        f"A classifier of real images recognises {entry.recall_synthetic:.0%} of the synthetic images of class "
        f"{entry.name!r}, of the real ones {entry.recall_real:.0%}."
        for entry in quality.classes
        if not entry.passes
    ]
    whole = quality.whole
    if not whole.passes:
        warnings.append(
            f"The samples cover {whole.coverage:.0%} of the real test images; equally many real training images cover "
            f"{whole.coverage_real:.0%}."
        )
    return tuple(warnings)


def _head(quality: ImageQuality) -> list[str]:
    judge = "a small network with random weights, since the images have no classes"
    if quality.judge_steps:
        judge = (
            f"a small CNN trained to tell the classes of the real training part apart ({quality.judge_steps} steps; of "
            "15 stages the one that is best on the validation part)"
        )
    return [
        f"Real images: {quality.n_train} for training, {quality.n_val} for validation, {quality.n_test} for the test. "
        f"The judge, whose features are compared, is {judge}.",
        "",
    ]


def _class_table(quality: ImageQuality) -> list[str]:
    if not quality.classes:
        return []
    return [
        "| class | training images | test images | recognised, real | recognised, synthetic [at least] | ratio "
        "| covered by synthetic | covered by training images | |",
        "|---|---|---|---|---|---|---|---|---|",
        *(_class_row(entry) for entry in quality.classes),
        "",
        f"Recognised: share of the real test images, and of {SAMPLES_PER_CLASS} synthetic images (seeds 0 to "
        f"{SAMPLES_PER_CLASS - 1}), that the judge takes for the class; in brackets the lower end of the 95 % "
        f"confidence interval (Clopper and Pearson). A class passes with a ratio of {RECALL_RATIO:g} or more and that "
        f"end above guessing ({quality.classes[0].chance:.3f}).",
        "",
    ]


def _class_row(entry: ClassQuality) -> str:
    cells = [
        entry.name,
        str(entry.n_train),
        str(entry.n_test),
        f"{entry.recall_real:.3f}",
        f"{entry.recall_synthetic:.3f} [{entry.lower_bound:.3f}]",
        _number(entry.ratio),
        _number(entry.coverage),
        _number(entry.coverage_real),
        _verdict(entry.passes),
    ]
    return "| " + " | ".join(cells) + " |"


def _set_table(whole: SetQuality) -> list[str]:
    rows = {
        "coverage of test images (higher)": (whole.coverage, whole.coverage_real),
        "density": (whole.density, whole.density_real),
        "Frechet distance to test images (lower)": (whole.frechet, whole.frechet_real),
    }
    return [
        "| | synthetic images | real training images |",
        "|---|---|---|",
        *(f"| {name} | {synthetic:.3f} | {real:.3f} |" for name, (synthetic, real) in rows.items()),
        "",
        f"{whole.compared} of each, beside {whole.n_test} test images; k = {NEIGHBOURS}. Median distance to the "
        f"nearest training image (RMSE, intensities in [0, 1]): samples {whole.nearest:.3f}, real test images "
        f"{whole.nearest_real:.3f}, ratio {_number(whole.nearest_ratio)} (well below 1: copies, or images that are "
        "smoother than real ones).",
        "",
    ]


def _foot(quality: ImageQuality) -> list[str]:
    lines = [f"**Coverage: {_verdict(quality.whole.passes)}** (at least {COVERAGE_RATIO:g} of what real images reach)."]
    if quality.is_conditional is not None:
        lines.insert(0, f"**Conditionality: {_verdict(quality.is_conditional)}** (every class passes).")
    return lines


def _verdict(passes: bool) -> str:
    return "passes" if passes else "FAILS"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
