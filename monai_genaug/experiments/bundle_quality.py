# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Measures a bundle of images against real ones and writes figures, pictures and warnings into it.

``python -m monai_genaug.experiments.bundle_quality <name or folder> --dataset-dir <data set>``

Every stage leaves its result in the work folder; a run that was stopped goes on with the next one.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from torch import Tensor

from monai_genaug.experiments.image_judge import make_judge
from monai_genaug.experiments.image_quality import ImageQuality, measure_images, needed_samples
from monai_genaug.experiments.quality_card import check_card, quality_section, write_card
from monai_genaug.experiments.real_parts import RealParts, as_levels, load_real_parts
from monai_genaug.experiments.stages import stage_key, stored_json, stored_tensors
from monai_genaug.experiments.step_bar import step_bar
from monai_genaug.generators import GeneratorSpec, SampleGenerator, bundle_folder, list_generators, load_generator

__all__ = ["bundle_quality", "draw_images", "measure_bundle"]

_CHUNK = 100
_SHOWN = {2: 20, 3: 10}
"""Images per class in a picture, by dimensions."""


def measure_bundle(
    bundle: Annotated[str, typer.Argument(help="name or folder of the bundle")],
    dataset_dir: Annotated[Path, typer.Option(help="the data set that it was trained on")],
    work_dir: Annotated[Path, typer.Option(help="intermediate results; a stopped run goes on from them")] = Path(
        "runs/bundle_quality"
    ),
) -> None:
    """Measures, and writes ``docs/measured.json``, pictures, the tables of ``docs/README.md`` and the warnings."""
    generator = load_generator(bundle)
    folder = bundle_folder(bundle) if bundle in list_generators() else Path(bundle)
    check_card(folder)
    parts = load_real_parts(generator, folder, dataset_dir, work_dir)
    synthetic = draw_images(generator, parts, work_dir)
    quality = bundle_quality(generator, parts, work_dir)
    real = {number: parts.test.images if number is None else parts.test.of_class(number) for number in synthetic}
    write_card(folder, quality, _shown(synthetic, generator.spec), _shown(real, generator.spec))
    typer.echo(quality_section(quality))


def bundle_quality(
    generator: SampleGenerator, parts: RealParts, work_dir: Path, judge_steps: int | None = None
) -> ImageQuality:
    """Measures a generator of images.

    Args:
        generator: makes the output ``image``; its classes are those of the labels.
        parts: real images in its space.
        work_dir: keeps the judge, the synthetic images and the figures.
        judge_steps: optimisation steps of the judge; None for as many as suit the size of the images.

    Raises:
        ValueError: real images that don't fit the generator's shape or classes.
    """
    spec = generator.spec
    synthetic = draw_images(generator, parts, work_dir)
    judge = make_judge(parts, (spec.classes or {}).values(), work_dir, judge_steps)

    def measured() -> dict[str, Any]:
        classes, whole = measure_images(parts, judge.network, synthetic, spec.classes)
        sizes = {"n_train": len(parts.train), "n_val": len(parts.val), "n_test": len(parts.test)}
        return ImageQuality(
            spec.name, spec.sha256, **sizes, judge_steps=judge.steps, classes=classes, whole=whole
        ).to_dict()

    path = work_dir / f"quality_{stage_key(judge.key, parts.test.sha256, _identity(generator))}.json"
    return ImageQuality.from_dict(stored_json(path, measured))


def draw_images(generator: SampleGenerator, parts: RealParts, work_dir: Path) -> dict[int | None, Tensor]:
    """The synthetic images that a measurement needs, seeds 0 and up in each class.

    Args:
        generator: makes the output ``image``.
        parts: real images, which say how many synthetic ones are needed.
        work_dir: keeps the images.

    Returns:
        Class id (None: without classes) -> uint8 ``(n, c, *spatial)``.

    Raises:
        ValueError: real images that don't fit the generator's shape or classes.
    """
    spec, real = generator.spec, tuple(parts.train.images.shape[1:])
    made = (spec.outputs["image"].channels, *spec.spatial_shape) if "image" in spec.outputs else None
    if real != made:
        raise ValueError(f"the real images have the shape {real}, those of {spec.name!r} have {made}.")
    drawn: dict[int | None, Tensor] = {}
    for number, count in needed_samples(parts, spec.classes).items():
        path = work_dir / f"samples_{stage_key(_identity(generator), number, count)}.pt"
        drawn[number] = stored_tensors(path, partial(_draw, generator, number, count))["images"]
    return drawn


def _draw(generator: SampleGenerator, number: int | None, count: int) -> dict[str, Tensor]:
    output, label = generator.spec.outputs["image"], "" if number is None else f" of class {number}"
    parts = []
    with step_bar(f"draw samples{label}", count) as move:
        for start in range(0, count, _CHUNK):
            seeds = range(start, min(start + _CHUNK, count))
            parts.append(as_levels(generator.sample(seeds, number)["image"].cpu(), output.value_range))
            move(seeds.stop)
    return {"images": torch.cat(parts)}


def _shown(images: Mapping[int | None, Tensor], spec: GeneratorSpec) -> dict[str, Tensor]:
    """The first images of each class, under its name."""
    count, names = _SHOWN[len(spec.spatial_shape)], spec.classes or {}
    return {"" if number is None else names[number]: rows[:count] for number, rows in images.items()}


def _identity(generator: SampleGenerator) -> Mapping[str, Any]:
    return generator.spec.replace(provenance=None, warnings=()).to_dict()


if __name__ == "__main__":
    typer.run(measure_bundle)
