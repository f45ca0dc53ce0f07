# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""The measured part of a model card, from the measured values."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from monai_genaug.experiments.statistics import mean_and_interval

__all__ = ["ARM_STEPS", "N_REAL", "N_SYNTHETIC", "insert_measured", "measured_section"]

BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"

ARM_STEPS = 200
"""Steps of each downstream training."""
N_SYNTHETIC = 300
"""Synthetic pairs in it."""
N_REAL = 10
"""Real volumes in it."""

_ROWS = {
    "reconstruction_rmse": "reconstruction error of test images (RMSE, intensities in [0, 1]; lower)",
    "reconstruction_dice": "reconstruction of test masks (Dice; higher)",
    "mask_agreement": "generated mask against what a network trained on real data finds in the image (Dice; higher)",
    "nearest_training_rmse": "distance of a sample to the nearest training image (median RMSE)",
    "nearest_training_ratio": "the same over that of real test images (smoothness lowers it, too)",
    "nearest_training_decoded_ratio": "the same over that of decoded test images (well below 1: copies)",
    "volume_sd_ratio": "sd of the mask's volume over the real one (1 is best)",
    "volume_mean_ratio": "mean of the mask's volume over the real one (1 is best)",
    "sharpness_ratio": "mean gradient magnitude over the real one (1 is best)",
    "frechet": "Frechet distance to test images (lower)",
    "density": "density",
    "coverage": "coverage of test images (higher)",
}


def measured_section(measured: Mapping[str, Any]) -> str:
    """Markdown of all tables about pairs of image and mask."""
    counts, judge = measured["counts"], measured["judge_dice"]
    names = list(measured["fidelity"])
    lines = [
        f"Training part {counts['train']} volumes, validation {counts['val']}, test {counts['test']}, by subject. All "
        "figures are of the test part, which neither a generator nor a network here has seen.",
        "",
        "| | " + " | ".join(names) + " |",
        "|---|" + "---|" * len(names),
        *(_fidelity_row(field, measured["fidelity"]) for field in _ROWS),
        "",
        "Images are compared in the central 32x48x32 voxels, which nearly every crop measured. Features of Frechet "
        "distance, density and coverage are channel means of the network that judges the masks, a U-Net trained on the "
        f"real training part (Dice on test volumes: anterior {judge[0]:.3f}, posterior {judge[1]:.3f}, whole "
        f"{judge[2]:.3f}). 500 samples, seeds 0 to 499.",
        "",
        f"Manifold sampler: acceptance {measured['sampler']['acceptance']:.2f}, no chain at its start "
        f"({measured['sampler']['fraction_at_start']:.0%}).",
        "",
        f"**Does it help?** A 3D U-Net, {ARM_STEPS} steps in every arm, {N_REAL} real volumes of the validation part, "
        f"{N_SYNTHETIC} synthetic pairs; Dice on the test part (mean of both labels), mean over "
        f"{len(measured['downstream'][0]['runs'])} seeds with 95 % confidence interval (Student's t over seeds):",
        "",
        "| training data | geometric augmentation | Dice, mean of labels | whole hippocampus |",
        "|---|---|---|---|",
        *(_downstream_row(row) for row in measured["downstream"]),
    ]
    return "\n".join(lines)


def insert_measured(card: Path, section: str) -> None:
    """Replaces what stands between the two marks of a card.

    Raises:
        ValueError: the card has no marks; nothing is written.
    """
    text = card.read_text()
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        raise ValueError(f"{card} needs the lines {BEGIN!r} and {END!r} once each.")
    head, rest = text.split(BEGIN)
    partial = card.with_suffix(".partial")
    partial.write_text(f"{head}{BEGIN}\n{section}\n{END}{rest.split(END)[1]}")
    partial.replace(card)


def _fidelity_row(field: str, fidelity: Mapping[str, Mapping[str, float]]) -> str:
    return f"| {_ROWS[field]} | " + " | ".join(f"{values[field]:.3f}" for values in fidelity.values()) + " |"


def _downstream_row(row: Mapping[str, Any]) -> str:
    cells = []
    for column in (3, 2):
        mean, low, high = mean_and_interval([run[column] for run in row["runs"]])
        cells.append(f"{mean:.3f} [{low:.3f}, {high:.3f}]")
    return f"| {row['source']} | {'yes' if row['geometric'] else 'no'} | " + " | ".join(cells) + " |"
