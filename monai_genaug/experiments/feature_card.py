# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""The table of a model card that compares synthetic with real images in features."""

from __future__ import annotations

from monai_genaug.experiments.feature_quality import ALL, SYNTHETIC, FeatureQuality, FeatureRow

__all__ = ["FEATURE_TITLES", "feature_section"]

FEATURE_TITLES = {
    "frechet_distance": "Frechet (lower)",
    "kernel_distance": "KID (lower)",
    "precision": "precision",
    "recall": "recall",
    "density": "density",
    "coverage": "coverage",
    "vendi_score": "Vendi",
}
_EXTRACTORS = {
    "medical": "features of a small network that was trained on medical images (`MedicalFeatures`)",
    "random": "features of a network with random weights (`RandomFeatures`)",
    "inception": "features of Inception-v3, trained on photographs (`InceptionFeatures`)",
}


def feature_section(quality: FeatureQuality) -> str:
    """Markdown of the table."""
    lines = [
        f"### Samples beside real images, in {quality.extractor} features",
        "",
        f"Synthetic images, and equally many real training images, each compared with equally many real test images in "
        f"{_EXTRACTORS.get(quality.extractor, f'features {quality.extractor!r}')}. The row of training images is what "
        "a perfect generator reaches.",
        "",
        f"| {_scope_title(quality)} | images, of each | {' | '.join(FEATURE_TITLES.values())} |",
        "|---|---|" + "---|" * len(FEATURE_TITLES),
        *map(_row, quality.rows),
        "",
        "Frechet distances of few images are large whatever they show: compare the two rows, not classes. KID may be "
        "slightly negative. Vendi: the number of different images that the set is worth.",
    ]
    return "\n".join(lines)


def _scope_title(quality: FeatureQuality) -> str:
    return "images" if {row.scope for row in quality.rows} == {ALL} else "class"


def _row(row: FeatureRow) -> str:
    kind = "synthetic" if row.images == SYNTHETIC else "real training"
    cells = [f"{row.scope}, {kind}", str(row.count)]
    cells += [f"{row.values[name]:.{1 if name == 'vendi_score' else 3}f}" for name in FEATURE_TITLES]
    return f"| {' | '.join(cells)} |"
