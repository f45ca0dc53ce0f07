# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""What does it cost, and what does it bring, that the centroids of a manifold stand for several training subjects?

``python -m monai_genaug.experiments.centroid_compression --dataset-dir <folder with all data sets>``

The manifolds of the shipped bundles are fitted anew to every training item, then compressed; the bundles stay as they
are.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Annotated

import torch
import typer
from torch import Tensor

from monai_genaug.experiments.audit_calibration import load_items
from monai_genaug.experiments.hippocampus_data import BUNDLE, load_part, stack_pairs
from monai_genaug.experiments.step_bar import step_bar
from monai_genaug.generators import LatentGenerator, SampleGenerator, VAEGenerator, load_generator
from monai_genaug.generators.encoder_input import encoder_input
from monai_genaug.metrics import density_and_coverage, frechet_distance
from monai_genaug.quality.audit import audit
from monai_genaug.quality.audit_items import AuditItems
from monai_genaug.quality.centroid_compression import compress_network
from monai_genaug.quality.pixel_features import PixelThumbnails

__all__ = ["compressed_generator", "measure_compression", "refitted_generator"]

SAMPLES = 200
_TITLE = (
    "bundle",
    "subjects per centroid",
    "width",
    "centroids",
    "Frechet",
    "coverage",
    "density",
    "spread of samples",
)
_CHECKS = ("copies", "distance_ratio", "membership", "centroids")
_BATCH = 16
_PARTS = ("train", "val", "test")


def measure_compression(
    dataset_dir: Annotated[Path, typer.Option(help="folder with medmnist and Task04_Hippocampus")],
    bundle: Annotated[list[str] | None, typer.Option(help="bundles with a manifold; by default both")] = None,
    size: Annotated[list[int] | None, typer.Option(help="subjects per centroid, 1 and up; by default 1, 5, 10")] = None,
    width: Annotated[
        list[float] | None, typer.Option(help="temperature in units of the clusters' width, 0 keeps it")
    ] = None,
    seed: Annotated[list[int] | None, typer.Option(help="of the audit, whose samples it chooses; by default 0")] = None,
) -> None:
    """Prints a table with a row per bundle, size, width and seed."""
    typer.echo(f"| {' | '.join((*_TITLE, *_CHECKS))} |\n|{'---|' * (len(_TITLE) + len(_CHECKS))}")
    points = [(one, wide) for one in size or (1, 5, 10) for wide in (width or (0.0, 1.0) if one > 1 else (0.0,))]
    for name in bundle or (BUNDLE, "adrenal_ct_rhvae"):
        generator = load_generator(name)
        assert isinstance(generator, VAEGenerator)
        train, val, test = _parts(generator, name, dataset_dir)
        generator = refitted_generator(generator, train, val)
        with step_bar(name, len(points)) as move:
            for number, (one, wide) in enumerate(points, start=1):
                made = compressed_generator(generator, one, wide or None, train)
                for draw in seed or (0,):
                    typer.echo(_row((name, one, wide or "-"), made, train, test, draw))
                move(number)


def refitted_generator(generator: VAEGenerator, train: AuditItems, val: AuditItems) -> VAEGenerator:
    """A copy whose manifold has the code of every training item, as at the end of its training."""
    network = copy.deepcopy(generator.network)
    network.fit_generation(_inputs(generator, train), _inputs(generator, val))
    return VAEGenerator(network, generator.spec.replace(sha256="", name=f"{generator.spec.name}_refitted"))


def compressed_generator(
    generator: VAEGenerator, size: int, width: float | None = None, train: AuditItems | None = None
) -> VAEGenerator:
    """A copy whose centroids stand for ``size`` subjects and more; with size 1 the generator itself.

    Args:
        generator: with a manifold of the codes of all training items.
        size, width: see :func:`~monai_genaug.quality.compress_centroids`.
        train: says whom the items show, in their order; None if each shows somebody else.
    """
    if size == 1:
        return generator
    subjects = None if train is None else train.subjects
    classes = None if train is None or train.labels is None else train.labels.tolist()
    network = compress_network(generator.network, size, subjects, classes, width)
    return VAEGenerator(network, generator.spec.replace(sha256="", name=f"{generator.spec.name}_{size}_{width}"))


def _inputs(generator: VAEGenerator, items: AuditItems) -> list[Tensor]:
    """Batches of what the encoder reads, class by class as a training sees them."""
    order = torch.arange(len(items)) if items.labels is None else items.labels.argsort(stable=True)
    outputs = {name: values[order] for name, values in items.outputs.items()}
    x = encoder_input(outputs, generator.spec)
    return list(
        generator.network.with_class_planes(x, None if items.labels is None else items.labels[order]).split(_BATCH)
    )


def _row(
    point: tuple[str, int, float | str], generator: VAEGenerator, train: AuditItems, held_out: AuditItems, seed: int
) -> str:
    images = generator.sample(range(SAMPLES * seed, SAMPLES * (seed + 1)), _labels(generator))["image"]
    extract = PixelThumbnails()
    real, made = extract(held_out.outputs["image"]), extract(images)
    density, coverage = density_and_coverage(real, made)
    spread = float(made.var(dim=0).sum() / extract(train.outputs["image"]).var(dim=0).sum())
    report = audit(generator, train, held_out, n_samples=SAMPLES, seed=seed)
    effects = {check.name: check.effect for check in report.checks if check.scope == "all"}
    members = getattr(generator.network.latent, "members", [generator.network.latent])
    count = sum(len(member.metric.centroids) for member in members)
    figures = [frechet_distance(real, made), coverage, density, spread, *(effects[name] for name in _CHECKS)]
    return f"| {' | '.join(map(str, point))} | {count} | {' | '.join(f'{figure:.3f}' for figure in figures)} |"


def _labels(generator: SampleGenerator) -> list[int] | None:
    """Every class in turn."""
    classes = generator.spec.classes
    return None if classes is None else [list(classes)[i % len(classes)] for i in range(SAMPLES)]


def _parts(generator: LatentGenerator, bundle: str, folder: Path) -> tuple[AuditItems, AuditItems, AuditItems]:
    """Training, validation and test items."""
    if bundle != BUNDLE:
        train, val, test = (load_items("adrenalmnist3d", folder / "medmnist", [part]) for part in _PARTS)
        rows = [test.rows_of(number) for number in generator.spec.classes or ()]
        fewest = min(len(own) for own in rows)  # classes as frequent as among the samples
        return train, val, test.take(torch.cat([own[:fewest] for own in rows]))
    parts = []
    for part in _PARTS:
        items = load_part(generator, folder / "Task04_Hippocampus", part)
        parts.append(AuditItems(stack_pairs(items), None, [str(item["subject"]) for item in items]))
    return parts[0], parts[1], parts[2]


if __name__ == "__main__":
    typer.run(measure_compression)
