# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Does the Frechet distance of an extractor grow with what is done to images?

``python -m monai_genaug.experiments.feature_sanity --dataset-dir <data>`` prints the table
of ``docs/results/features.md``.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import torch
import typer
from monai.transforms import GaussianSmooth
from torch import Tensor

from monai_genaug.experiments.feature_images import read_feature_images
from monai_genaug.generators import derive_seed
from monai_genaug.metrics import FeatureExtractor, feature_extractor, frechet_distance

__all__ = ["CHANGES", "changed_set", "sanity_distances"]

CHANGES: dict[str, tuple[float, ...]] = {
    "noise": (0.0, 0.02, 0.05, 0.1, 0.2),
    "blur": (0.0, 0.5, 1.0, 2.0, 4.0),
    "modes": (0.0, 0.25, 0.5, 0.75, 1.0),
}
"""Change -> strengths: noise as standard deviation (images in [0, 1]), blur as sigma in pixels, modes as the share of
the images of all classes but the first that are replaced by images of the first."""


def changed_set(images: Tensor, labels: Tensor, change: str, strength: float, seed: int = 0) -> Tensor:
    """A set of images after a change.

    Args:
        images: ``(n, c, *spatial)`` in [0, 1].
        labels: classes ``(n,)``.
        change: of :data:`CHANGES`.
        strength: 0 changes nothing.
        seed: of noise and choice.
    """
    rng = torch.Generator().manual_seed(derive_seed("feature sanity", seed))
    if change == "noise":
        return (images + strength * torch.randn(images.shape, generator=rng)).clamp(0.0, 1.0)
    if change == "blur":
        return images if strength == 0 else torch.stack([torch.as_tensor(GaussianSmooth(strength)(x)) for x in images])
    if change != "modes":
        raise ValueError(f"change is {change!r}, allowed: {', '.join(CHANGES)}.")
    first = (labels == labels.min()).nonzero()[:, 0]
    others = (labels != labels.min()).nonzero()[:, 0]
    dropped = others[torch.randperm(len(others), generator=rng)[: round(strength * len(others))]]
    rows = torch.arange(len(images))
    rows[dropped] = first[torch.randint(len(first), (len(dropped),), generator=rng)]
    return images[rows]


def sanity_distances(
    extractor: FeatureExtractor, images: Tensor, labels: Tensor, change: str, strengths: Sequence[float]
) -> list[float]:
    """Frechet distance of one half of the images to the changed other half, for each strength."""
    rng = torch.Generator().manual_seed(derive_seed("feature sanity halves"))
    order = torch.randperm(len(images), generator=rng)
    kept, other = order[::2], order[1::2]
    reference = extractor(images[kept])
    changed = (changed_set(images[other], labels[other], change, strength) for strength in strengths)
    return [frechet_distance(reference, extractor(one)) for one in changed]


def print_sanity_table(
    dataset_dir: Annotated[Path, typer.Option(help="Folder with medmnist, busi_128 and Task04_Hippocampus.")],
    names: Annotated[str, typer.Option(help="Extractors, separated by commas.")] = "medical,random",
) -> None:
    """Prints the distances of the test parts, which the networks have not seen, as a Markdown table."""
    typer.echo("| images | extractor | change | distance at strength |\n|---|---|---|---|")
    for spatial_dims in (2, 3):
        real = read_feature_images(dataset_dir, spatial_dims, "test")
        for dataset in dict.fromkeys(name.split(":")[0] for name in real.classes):
            numbers = [number for number, name in enumerate(real.classes) if name.startswith(f"{dataset}:")]
            rows = torch.isin(real.labels, torch.tensor(numbers))
            images, labels = real.images[rows].float() / 255.0, real.labels[rows]
            for name in names.split(","):
                extractor = feature_extractor(name, spatial_dims)
                for change, strengths in CHANGES.items():
                    if change == "modes" and len(numbers) == 1:
                        continue
                    values = sanity_distances(extractor, images, labels, change, strengths)
                    cells = ", ".join(f"{s:g}: {value:.3g}" for s, value in zip(strengths, values, strict=True))
                    typer.echo(f"| {dataset} {spatial_dims}D ({len(images)}) | {name} | {change} | {cells} |")


if __name__ == "__main__":
    typer.run(print_sanity_table)
