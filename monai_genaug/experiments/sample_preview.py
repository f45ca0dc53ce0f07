# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Pictures of what a generator makes."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from monai_genaug.generators import SampleGenerator, resolve_class_labels
from monai_genaug.generators.base import Samples
from monai_genaug.generators.class_labels import ClassLabel
from monai_genaug.plotting import SheetRow, rotating_gif, sample_sheet

__all__ = ["draw_preview"]

_COLUMNS, _WIDE_COLUMNS = 8, 16
_TURNING = 4  # volumes in an animation


def draw_preview(
    generator: SampleGenerator,
    seeds: Sequence[int],
    path: str | os.PathLike[str],
    classes: Sequence[ClassLabel] = (),
    truncations: Sequence[float] = (1.0,),
    gif: str | os.PathLike[str] | None = None,
) -> list[Path]:
    """Draws samples: a row for each class and truncation, a column for each seed.

    Args:
        generator: makes 2D images or volumes.
        seeds: of each row.
        path: the picture.
        classes: ids or names; empty for all that there are.
        truncations: of each class, one row each.
        gif: of volumes: an animation of the first four of them, one of each row first; None for none.

    Returns:
        The files.

    Raises:
        ValueError: seeds, classes or truncations that are not allowed, or an animation of 2D images. Nothing is
            written.
    """
    spec = generator.spec
    if gif is not None and len(spec.spatial_shape) != 3:
        raise ValueError(f"an animation shows volumes, {spec.name!r} makes images of {spec.spatial_shape} pixels.")
    ids: Sequence[int | None] = [None]
    if spec.classes is not None or classes:
        chosen = list(classes) or list(spec.classes or {})
        ids = resolve_class_labels(chosen, len(chosen), spec) or ids
    rows = [
        SheetRow(_title(spec.classes, number, value, len(truncations)), _shown(generator, seeds, number, value), titles)
        for titles in [[_seed_title(seed) for seed in seeds]]
        for number in ids
        for value in truncations
    ]
    value_range, labels = _ranges(generator)
    columns = _WIDE_COLUMNS if len(rows) > 1 and len(spec.spatial_shape) == 2 else _COLUMNS
    heading = f"{spec.name} {spec.version}: synthetic {'volumes' if len(spec.spatial_shape) == 3 else 'images'}"
    files = [sample_sheet(rows, path, columns, value_range, heading, labels)]
    if gif is not None:
        image = next((output for output in spec.outputs.values() if output.kind == "image"), None)
        files.append(rotating_gif(_turning(rows), gif, value_range, image is not None and image.levels == 2))
    return files


def _shown(generator: SampleGenerator, seeds: Sequence[int], number: int | None, truncation: float) -> Samples:
    """The first image and the first mask; of a generator of masks alone, the mask as an image too."""
    made = generator.sample(seeds, number, truncation)
    by_kind: dict[str, Tensor] = {}
    for name, output in generator.spec.outputs.items():
        by_kind.setdefault(output.kind, made[name])
    return {"image": by_kind.get("image", by_kind.get("mask", torch.zeros(0))), **by_kind}


def _ranges(generator: SampleGenerator) -> tuple[tuple[float, float], tuple[str, ...]]:
    """Values shown black and white, and names of the labels."""
    outputs = list(generator.spec.outputs.values())
    images = [output for output in outputs if output.kind == "image"]
    masks = [output for output in outputs if output.kind == "mask"]
    return (images or masks)[0].value_range, masks[0].class_names if masks else ()


def _title(names: Mapping[int, str] | None, number: int | None, truncation: float, n_truncations: int) -> str:
    lines = [] if number is None or names is None else [names[number]]
    if n_truncations > 1:
        lines.append(f"truncation {truncation:g}")
    return "\n".join(lines)


def _seed_title(seed: int) -> str:
    return f"seed {seed}" if seed < 10**6 else str(seed)


def _turning(rows: Sequence[SheetRow]) -> dict[str, Tensor]:
    """The volumes of the animation."""
    names = rows[0].samples
    by_seed = {name: torch.stack([row.samples[name] for row in rows], dim=1).flatten(0, 1) for name in names}
    return {name: values[:_TURNING] for name, values in by_seed.items()}
