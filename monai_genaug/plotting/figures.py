# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""What all pictures share: how a figure is written, colours of mask labels, planes of volumes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["save_figure"]

_COLOURS = ("#ff4d4d", "#33ccff", "#ffd11a", "#66ff66", "#ff66ff", "#ff9933")


def save_figure(figure: Figure, path: str | os.PathLike[str]) -> Path:
    """Writes a figure with a narrow margin; its folder is created if needed, the file replaced atomically.

    Args:
        figure: with a canvas.
        path: the file; its ending decides the format, PNG without one.

    Returns:
        The path.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}")
    figure.savefig(temporary, dpi=120, bbox_inches="tight", pad_inches=0.05, format=target.suffix.lstrip(".") or "png")
    temporary.replace(target)
    return target


def _label_colour(label: int) -> str:
    """Of a mask's label, 1 and up."""
    return _COLOURS[(label - 1) % len(_COLOURS)]


def _centre(image: Tensor, mask: Tensor | None) -> list[int]:
    """Voxel through which the planes go."""
    if mask is not None and bool((mask > 0).any()):
        return (mask[0] > 0).nonzero().float().mean(dim=0).round().int().tolist()
    return [size // 2 for size in image.shape[1:]]


def _plane(volume: Tensor, row: int, centre: Sequence[int]) -> Tensor:
    """Plane ``(C, columns, rows)`` of a volume that is cut across axis ``row``; a 2D image itself."""
    return volume.transpose(1, 2) if volume.ndim == 3 else volume.select(1 + row, centre[row])
