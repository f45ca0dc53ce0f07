# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""How far altered copies of an image lie from it, by the distance that finds near duplicates."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import interpolate

from monai_genaug.latent.draws import standard_normal
from monai_genaug.quality.thumbnails import thumbnail

__all__ = ["altered_distances", "altered_section"]

_NEAR = 0.1
_QUANTILES = (0.5, 0.95)


def altered_distances(images: Sequence[Tensor]) -> dict[str, Tensor]:
    """Distances of images and their altered copies.

    Args:
        images: grey, ``(1, height, width)``, uint8.

    Returns:
        Alteration -> distances ``(n,)``.
    """
    originals = torch.stack([thumbnail(image) for image in images])
    distances = {}
    for name, alter in _ALTERATIONS.items():
        copies = [thumbnail(alter(image.float()).round().clamp(0, 255)) for image in images]
        distances[name] = (torch.stack(copies) - originals).norm(dim=1)
    return distances


def altered_section(sets: Mapping[str, Mapping[str, Tensor]]) -> str:
    """Markdown: for each set the share of copies that are near, and quantiles of their distance."""
    lines = [f"| | {' | '.join(sets)} |", "|---|" + "---|" * len(sets)]
    for name in _ALTERATIONS:
        cells = []
        for distances in sets.values():
            median, high = torch.quantile(distances[name], torch.tensor(_QUANTILES)).tolist()
            share = float((distances[name] <= _NEAR).double().mean())
            cells.append(f"{share:.0%} ({median:.3f}, {high:.3f})")
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _noise(image: Tensor) -> Tensor:
    return image + 3.0 * standard_normal([int(image.sum())], image.numel()).reshape(image.shape)


def _jpeg(quality: int) -> Callable[[Tensor], Tensor]:
    def stored(image: Tensor) -> Tensor:
        file = io.BytesIO()
        Image.fromarray(image[0].to(torch.uint8).numpy()).save(file, "JPEG", quality=quality)
        return torch.from_numpy(np.array(Image.open(file)))[None].float()

    return stored


def _resized(image: Tensor) -> Tensor:
    smaller = interpolate(image[None], scale_factor=0.75, mode="bilinear", antialias=True)
    return interpolate(smaller, image.shape[1:], mode="bilinear")[0]


def _cropped(image: Tensor) -> Tensor:
    return interpolate(image[None, :, 1:-1, 1:-1], image.shape[1:], mode="bilinear")[0]


_ALTERATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "noise, sd 3 of 255": _noise,
    "contrast 85 %": lambda image: 0.85 * image + 15.0,
    "gamma 1.2": lambda image: 255.0 * (image / 255.0) ** 1.2,
    "JPEG, quality 75": _jpeg(75),
    "JPEG, quality 30": _jpeg(30),
    "resized to 75 % and back": _resized,
    "moved by one pixel": lambda image: image.roll(1, -1),
    "cropped by one pixel": _cropped,
}
