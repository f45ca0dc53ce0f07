# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""What does it cost, and what does it bring, that the centroids of a manifold stand for several training items?

``python -m monai_genaug.experiments.centroid_compression --dataset-dir <folder with all data sets>``

Measures the shipped manifold bundles as they are and with compressed centroids; the bundles stay as they are.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Annotated

import torch
import typer

from monai_genaug.experiments.audit_calibration import load_items
from monai_genaug.experiments.hippocampus_data import BUNDLE, load_part, stack_pairs
from monai_genaug.experiments.step_bar import step_bar
from monai_genaug.generators import LatentGenerator, SampleGenerator, VAEGenerator, load_generator
from monai_genaug.latent import RiemannianLatent
from monai_genaug.metrics import density_and_coverage, frechet_distance
from monai_genaug.quality.audit import audit
from monai_genaug.quality.audit_items import AuditItems
from monai_genaug.quality.centroid_compression import compress_centroids
from monai_genaug.quality.pixel_features import PixelThumbnails

__all__ = ["compressed_generator", "measure_compression"]

SIZES = (1, 3, 5, 10)
SAMPLES = 200
_TITLE = ("bundle", "items per centroid", "centroids", "Frechet", "coverage", "density", "spread of samples")
_CHECKS = ("copies", "distance_ratio", "membership", "centroids")


def measure_compression(
    dataset_dir: Annotated[Path, typer.Option(help="folder with medmnist and Task04_Hippocampus")],
) -> None:
    """Prints a table with a row per bundle and cluster size."""
    typer.echo(f"| {' | '.join((*_TITLE, *_CHECKS))} |\n|{'---|' * (len(_TITLE) + len(_CHECKS))}")
    for bundle in (BUNDLE, "adrenal_ct_rhvae"):
        generator = load_generator(bundle)
        assert isinstance(generator, VAEGenerator)
        train, held_out = _parts(generator, bundle, dataset_dir)
        with step_bar(bundle, len(SIZES)) as move:
            for number, size in enumerate(SIZES, start=1):
                typer.echo(_row(bundle, size, compressed_generator(generator, size), train, held_out))
                move(number)


def compressed_generator(generator: VAEGenerator, size: int) -> VAEGenerator:
    """A copy whose centroids stand for ``size`` items and more; with size 1 the generator itself."""
    if size == 1:
        return generator
    network = copy.deepcopy(generator.network)
    for module in network.modules():
        if isinstance(module, RiemannianLatent):
            module.load_state_dict(compress_centroids(module, size).state_dict())
    return VAEGenerator(network, generator.spec.replace(sha256="", name=f"{generator.spec.name}_{size}"))


def _row(bundle: str, size: int, generator: VAEGenerator, train: AuditItems, held_out: AuditItems) -> str:
    labels = _labels(generator)
    samples = generator.sample(range(SAMPLES), labels)["image"]
    extract = PixelThumbnails()
    real, made = extract(held_out.outputs["image"]), extract(samples)
    density, coverage = density_and_coverage(real, made)
    spread = float(made.var(dim=0).sum() / extract(train.outputs["image"]).var(dim=0).sum())
    report = audit(generator, train, held_out, n_samples=SAMPLES)
    effects = {check.name: check.effect for check in report.checks if check.scope == "all"}
    latents = [module for module in generator.network.modules() if isinstance(module, RiemannianLatent)]
    count = sum(len(latent.metric.centroids) for latent in latents)
    figures = [frechet_distance(real, made), coverage, density, spread, *(effects[name] for name in _CHECKS)]
    return f"| {bundle} | {size} | {count} | {' | '.join(f'{figure:.3f}' for figure in figures)} |"


def _labels(generator: SampleGenerator) -> list[int] | None:
    """Every class in turn."""
    classes = generator.spec.classes
    return None if classes is None else [list(classes)[i % len(classes)] for i in range(SAMPLES)]


def _parts(generator: LatentGenerator, bundle: str, folder: Path) -> tuple[AuditItems, AuditItems]:
    """Training and test items."""
    if bundle != BUNDLE:
        train, test = (load_items("adrenalmnist3d", folder / "medmnist", [part]) for part in ("train", "test"))
        rows = [test.rows_of(number) for number in generator.spec.classes or ()]
        fewest = min(len(own) for own in rows)  # classes as frequent as among the samples
        return train, test.take(torch.cat([own[:fewest] for own in rows]))
    items = [load_part(generator, folder / "Task04_Hippocampus", part) for part in ("train", "test")]
    first, second = (AuditItems(stack_pairs(one), None, [str(item["subject"]) for item in one]) for one in items)
    return first, second


if __name__ == "__main__":
    typer.run(measure_compression)
