# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""What paired metrics give when there is no generator at all: the values to hold those of a generator against.

``python -m monai_genaug.experiments.paired_baseline --folder <pictures>`` prints the table of
``docs/concepts/metrics.md``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from PIL import Image
from torch import Tensor

from monai_genaug.data import class_folder_items
from monai_genaug.generators import derive_seed
from monai_genaug.metrics import PAIRED_METRICS, nearest_real_similarity, paired_batch_similarity
from monai_genaug.metrics.features.resizing import smoothly_resized

__all__ = ["paired_baselines", "print_paired_baselines"]

_METRICS = tuple(name for name in PAIRED_METRICS if name != "ms_ssim")


def paired_baselines(first: Tensor, second: Tensor, metrics: tuple[str, ...] = _METRICS) -> dict[str, dict[str, float]]:
    """Paired metrics of two sets of real images, ``(n, c, *spatial)`` in [0, 1], equally many.

    Returns:
        What takes the generator's place -> metric -> mean. ``"other real images"``; ``"their mean image"``, n times;
        ``"other real images, each with the nearest"``.
    """
    mean = second.mean(dim=0, keepdim=True).expand_as(second)
    return {
        "other real images": paired_batch_similarity(first, second, metrics),
        "their mean image": paired_batch_similarity(first, mean, metrics),
        "other real images, each with the nearest": nearest_real_similarity(first, second, metrics),
    }


def print_paired_baselines(
    folder: Annotated[Path, typer.Option(help="Folder of pictures, with a sub-folder per class or flat.")],
    size: Annotated[int, typer.Option(help="Pixels per axis.")] = 64,
    count: Annotated[int, typer.Option(help="Pictures per set.")] = 256,
    seed: int = 0,
) -> None:
    """Prints the baselines of a folder of pictures as a Markdown table."""
    items = class_folder_items(folder)
    if len(items) < 2 * count:
        raise ValueError(f"{folder} has {len(items)} pictures, needed: two sets of {count}.")
    rng = torch.Generator().manual_seed(derive_seed("paired baseline", seed))
    chosen = torch.randperm(len(items), generator=rng)[: 2 * count].tolist()
    pictures = torch.cat([smoothly_resized(_colour(items[i]["image"]), (size, size)) for i in chosen]).clamp(0, 1)
    typer.echo(f"| in place of the generator | {' | '.join(_METRICS)} |\n|---{'|---' * len(_METRICS)}|")
    for name, values in paired_baselines(pictures[:count], pictures[count:]).items():
        typer.echo(f"| {name} | {' | '.join(f'{value:.2f}' for value in values.values())} |")


def _colour(path: str) -> Tensor:
    with Image.open(path) as image:
        return torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1)[None].float() / 255.0


if __name__ == "__main__":
    typer.run(print_paired_baselines)
