# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""A picture of images, one block per class."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from torch import Tensor
from torchvision.utils import make_grid

from monai_genaug.plotting import save_figure

__all__ = ["class_picture"]

_COLUMNS = 10
_INCHES = 9.0


def class_picture(rows: Mapping[str, Tensor], path: Path) -> None:
    """Writes a picture with one block of images per class; volumes are shown by three blocks, their mid-planes.

    Args:
        rows: title -> uint8 images ``(n, c, *spatial)``, ten in a line; three channels are colours, otherwise the
            first one is shown.
        path: the file, replaced atomically.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    strips = [(title, strip) for title, images in rows.items() for strip in _strips(images)]
    inches = [strip.shape[0] / strip.shape[1] for _, strip in strips]
    figure = Figure(figsize=(_INCHES, _INCHES * sum(inches)), facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(strips), 1, squeeze=False, gridspec_kw={"height_ratios": inches, "hspace": 0.04})
    shown = ""
    for axis, (title, strip) in zip(axes[:, 0], strips, strict=True):
        axis.imshow(strip, interpolation="nearest")
        axis.set(xticks=[], yticks=[], frame_on=False)
        if title != shown:
            axis.set_ylabel(title, fontsize=8, rotation=0, ha="right", va="center")
        shown = title
    save_figure(figure, path)


def _strips(images: Tensor) -> list[NDArray[Any]]:
    """Images in lines of ten, ``(rows, columns, 3)``: one strip, or one per mid-plane of volumes."""
    shown = images if images.shape[1] == 3 else images[:, :1]
    # volumes: the first axis of the picture is the last one of the plane, its end on top
    planes = [shown] if images.ndim == 4 else [_middle(shown, axis).mT.flip(2) for axis in (2, 3, 4)]
    return [make_grid(plane, nrow=_COLUMNS, padding=1, pad_value=255).movedim(0, -1).numpy() for plane in planes]


def _middle(volumes: Tensor, axis: int) -> Tensor:
    return volumes.select(axis, volumes.shape[axis] // 2)
