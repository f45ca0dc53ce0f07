# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Measures shipped bundles against real images and writes figures, pictures and warnings into them.

``python -m monai_genaug.experiments.bundle_quality <name, folder or all> --dataset-dir <data set>``

Of images: whether they show their class and cover the real ones. Of all generators: how near samples are to real
images in features, and what the privacy audit finds. Figures of image and mask together are those of
:mod:`monai_genaug.experiments.model_card`. Every stage leaves its result in the work folder; a run that was stopped
goes on with the next one.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from torch import Tensor

from monai_genaug.data import medmnist_names
from monai_genaug.experiments.bundle_card import card_section, check_card, read_measured, write_measured
from monai_genaug.experiments.bundle_privacy import bundle_privacy
from monai_genaug.experiments.class_picture import class_picture
from monai_genaug.experiments.feature_quality import FeatureQuality, measure_features
from monai_genaug.experiments.image_judge import make_judge
from monai_genaug.experiments.image_quality import ImageQuality, measure_images, needed_samples
from monai_genaug.experiments.real_parts import RealParts, as_levels, load_real_parts
from monai_genaug.experiments.stages import stage_key, stored_json, stored_tensors
from monai_genaug.experiments.step_bar import step_bar
from monai_genaug.generators import GeneratorSpec, SampleGenerator, list_generators, load_generator
from monai_genaug.generators.loading import bundle_path
from monai_genaug.metrics import feature_extractor

__all__ = ["bundle_features", "bundle_quality", "dataset_folder", "draw_images", "measure_bundle", "measure_bundles"]

_CHUNK = 100
_SHOWN = {2: 20, 3: 10}
"""Images per class in a picture, by dimensions."""


def measure_bundles(
    bundle: Annotated[str, typer.Argument(help="name or folder of a bundle; 'all' for every shipped one")],
    dataset_dir: Annotated[Path, typer.Option(help="the data set that it was trained on, or a folder of data sets")],
    work_dir: Annotated[Path, typer.Option(help="intermediate results; a stopped run goes on from them")] = Path(
        "runs/bundle_quality"
    ),
    extractor: Annotated[str, typer.Option(help="features: medical, random or inception")] = "medical",
    audited: Annotated[int, typer.Option(help="samples of the privacy audit")] = 500,
) -> None:
    """Measures, and writes ``docs/measured.json``, pictures, the tables of ``docs/README.md`` and the warnings."""
    for name in list_generators() if bundle == "all" else [bundle]:
        typer.echo(f"{name}\n\n{measure_bundle(name, dataset_dir, work_dir, extractor, audited)}\n")


def measure_bundle(
    bundle: str, dataset_dir: Path, work_dir: Path, extractor: str = "medical", audited: int = 500
) -> str:
    """Measures one bundle and writes it.

    Args:
        bundle: name or folder.
        dataset_dir: as :func:`dataset_folder` takes it.
        work_dir: keeps the results of the stages.
        extractor: name of the features.
        audited: samples of the privacy audit.

    Returns:
        The measured part of the card.

    Raises:
        ValueError: a bundle without card or training config, or real images that don't fit it.
    """
    generator, folder, parts = opened_bundle(bundle, dataset_dir, work_dir)
    figures: dict[str, Any] = {}
    if "mask" not in generator.spec.outputs:
        figures |= bundle_quality(generator, parts, work_dir).to_dict()
        synthetic = draw_images(generator, parts, work_dir)
        real = {number: parts.test.images if number is None else parts.test.of_class(number) for number in synthetic}
        class_picture(_shown(synthetic, generator.spec), folder / "docs" / "samples.png")
        class_picture(_shown(real, generator.spec), folder / "docs" / "real.png")
    figures["features"] = bundle_features(generator, parts, work_dir, extractor).to_dict()
    figures["privacy"] = bundle_privacy(generator, parts, work_dir, audited).to_dict()
    write_measured(folder, figures)
    return card_section(read_measured(folder))


def opened_bundle(bundle: str, dataset_dir: Path, work_dir: Path) -> tuple[SampleGenerator, Path, RealParts]:
    """The generator of a bundle that has a card, its folder, and the real images that it is measured against.

    Args:
        bundle: name or folder.
        dataset_dir: as :func:`dataset_folder` takes it.
        work_dir: keeps the preprocessed images.

    Raises:
        ValueError: a bundle without card or training config, or real images that don't fit it.
    """
    generator = load_generator(bundle)
    folder = bundle_path(bundle)
    check_card(folder)
    return generator, folder, load_real_parts(generator, folder, dataset_folder(generator.spec, dataset_dir), work_dir)


def dataset_folder(spec: GeneratorSpec, folder: Path) -> Path:
    """Where the data set of a generator lies: in a sub-folder of its name, or else in the folder itself."""
    name = "" if spec.provenance is None else spec.provenance.dataset.split(", ")[-1]
    named = "medmnist" if name.lower() in medmnist_names() else name
    for candidate in (named, named.lower()):
        if candidate and (folder / candidate).is_dir():
            return folder / candidate
    return folder


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


def bundle_features(
    generator: SampleGenerator, parts: RealParts, work_dir: Path, extractor: str = "medical"
) -> FeatureQuality:
    """Compares samples with real images in features.

    Args:
        generator: makes the output ``image``; its classes are those of the labels.
        parts: real images in its space.
        work_dir: keeps the synthetic images and the figures.
        extractor: name for :func:`~monai_genaug.metrics.feature_extractor`.
    """
    spec = generator.spec
    synthetic = draw_images(generator, parts, work_dir)

    def measured() -> dict[str, Any]:
        features = feature_extractor(extractor, len(spec.spatial_shape))
        return measure_features(parts, synthetic, spec.classes, features, features.name).to_dict()

    key = stage_key(extractor, parts.train.sha256, parts.test.sha256, _identity(generator))
    return FeatureQuality.from_dict(stored_json(work_dir / f"features_{key}.json", measured))


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
    typer.run(measure_bundles)
