# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Grids of samples: images with the outlines of their masks."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from monai_genaug.plotting.figures import _centre, _label_colour, _plane, save_figure

__all__ = ["sample_grid"]

_INCHES = 1.3


def sample_grid(
    samples: Mapping[str, Tensor],
    path: str | os.PathLike[str],
    titles: Sequence[str] | None = None,
    value_range: tuple[float, float] = (0.0, 1.0),
) -> Path:
    """Writes a picture with one column per sample; volumes are shown by their three mid-planes, one per row.

    A volume's axes are taken as right, anterior, superior; with a mask the planes go through its centre of mass.

    Args:
        samples: ``image`` ``(n, C, *spatial)`` in 2D or 3D (three channels are colours, otherwise the first one is
            shown) and, optionally, ``mask`` ``(n, 1, *spatial)`` with integer labels, drawn as outlines.
        path: the file; its ending says the format. Its folder is created if needed, the file replaced atomically.
        titles: one per sample.
        value_range: intensities shown black and white.

    Returns:
        The path.

    Raises:
        ValueError: no image, or shapes or titles that don't fit. Nothing is written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    image, mask = _checked(samples, titles)
    count, rows = len(image), 1 if image.ndim == 4 else 3
    height = sum(_plane(image[0], row, _centre(image[0], None)).shape[-1] for row in range(rows)) / image.shape[2]
    figure = Figure(figsize=(_INCHES * count, _INCHES * height + (0.25 if titles else 0.0)), facecolor="black")
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, count, squeeze=False, gridspec_kw={"wspace": 0.03, "hspace": 0.03})
    for column in range(count):
        labels = None if mask is None else mask[column]
        centre = _centre(image[column], labels)
        for row in range(rows):
            _draw(axes[row][column], image[column], labels, row, centre, value_range)
        if titles is not None:
            axes[0][column].set_title(titles[column], fontsize=7, color="white", pad=3)
    return save_figure(figure, path)


def _checked(samples: Mapping[str, Tensor], titles: Sequence[str] | None) -> tuple[Tensor, Tensor | None]:
    if "image" not in samples:
        raise ValueError(f"samples has {sorted(samples)}, needed: 'image' and, optionally, 'mask'.")
    image = torch.as_tensor(samples["image"]).detach().cpu().float()
    if image.ndim not in (4, 5) or len(image) == 0:
        raise ValueError(f"image has shape {tuple(image.shape)}, needed: (n, C, *spatial) in 2D or 3D.")
    mask = torch.as_tensor(samples["mask"]).detach().cpu() if "mask" in samples else None
    if mask is not None and mask.shape != (len(image), 1, *image.shape[2:]):
        raise ValueError(f"mask has shape {tuple(mask.shape)}, the image {tuple(image.shape)}.")
    if titles is not None and len(titles) != len(image):
        raise ValueError(f"{len(titles)} titles for {len(image)} samples.")
    return image, mask


def _draw(
    axis: Any, image: Tensor, mask: Tensor | None, row: int, centre: Sequence[int], value_range: tuple[float, float]
) -> None:
    # 2D images are stored row by row, volumes with their superior or anterior end last
    origin = "upper" if image.ndim == 3 else "lower"
    plane = _plane(image, row, centre).transpose(1, 2)
    low, high = value_range
    if len(plane) == 3:
        axis.imshow(((plane - low) / (high - low)).clamp(0, 1).movedim(0, -1).numpy(), origin=origin)
    else:
        axis.imshow(plane[0].numpy(), cmap="gray", vmin=low, vmax=high, origin=origin)
    if mask is not None:
        labels = _plane(mask, row, centre).transpose(1, 2)[0]
        for label in labels.unique().tolist():
            if label != 0 and bool((labels != label).any()):
                colour = _label_colour(int(label))
                axis.contour((labels == label).float().numpy(), levels=[0.5], colors=[colour], linewidths=0.7)
    axis.set_axis_off()
