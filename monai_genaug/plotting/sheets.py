# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Labelled sheets of samples: rows of classes or settings, columns of seeds."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from monai_genaug.plotting.figures import _centre, _label_colour, _plane, save_figure

__all__ = ["SheetRow", "sample_sheet"]

_INCHES = 0.95  # a sample's width
_GAP = 0.03  # between samples, in widths of one
_LINE_GAP = 0.1  # between lines
_TITLE_GAP = 0.25  # above a line with titles
_PLANES = ("sagittal", "coronal", "axial")


@dataclass(frozen=True)
class SheetRow:
    """Samples that belong together.

    Args:
        title: what they have in common; stands on the left.
        samples: ``image`` ``(n, C, *spatial)`` in 2D or 3D (three channels are colours, otherwise the first one is
            shown) and, optionally, ``mask`` ``(n, 1, *spatial)`` with integer labels, drawn as outlines.
        titles: one per sample.

    Raises:
        ValueError: no image, or shapes or titles that don't fit.
    """

    title: str
    samples: Mapping[str, Tensor]
    titles: Sequence[str]

    def __post_init__(self) -> None:
        image, mask = self.samples.get("image"), self.samples.get("mask")
        if image is None or image.ndim not in (4, 5) or len(image) == 0:
            found = None if image is None else tuple(image.shape)
            raise ValueError(f"image has shape {found}, needed: (n, C, *spatial) in 2D or 3D.")
        if mask is not None and mask.shape != (len(image), 1, *image.shape[2:]):
            raise ValueError(f"mask has shape {tuple(mask.shape)}, the image {tuple(image.shape)}.")
        if len(self.titles) != len(image):
            raise ValueError(f"{len(self.titles)} titles for {len(image)} samples.")


@dataclass(frozen=True)
class _Line:
    """A line of the sheet: at most as many samples as there are columns.

    Pictures are ``(3, rows, columns)`` in [0, 1] and ``(rows, columns)`` of labels, one pair per plane.
    """

    row: SheetRow
    places: range
    titles: tuple[str, ...]
    planes: list[list[tuple[Tensor, Tensor]]]


def sample_sheet(
    rows: Sequence[SheetRow],
    path: str | os.PathLike[str],
    columns: int = 8,
    value_range: tuple[float, float] = (0.0, 1.0),
    heading: str = "",
    label_names: Sequence[str] = (),
) -> Path:
    """Writes a picture with the samples of each row side by side, in as many lines as they need.

    Of volumes, whose axes are taken as right, anterior, superior, three planes stand one above the other; with a mask
    they go through its centre of mass. Outlines of masks have one colour per label, named below the picture.

    Args:
        rows: of samples of the same shape.
        path: the file; its ending says the format. Its folder is created if needed, the file replaced atomically.
        columns: samples side by side, at most.
        value_range: intensities shown black and white.
        heading: above everything.
        label_names: of the mask's labels, the background first.

    Returns:
        The path.

    Raises:
        ValueError: no rows, samples of different shapes, or fewer than one column. Nothing is written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    shapes = {tuple(row.samples["image"].shape[1:]) for row in rows}
    if len(shapes) != 1 or columns < 1:
        raise ValueError(f"columns is {columns}, shapes are {sorted(shapes)}, needed: 1 or more, and one shape.")
    lines = _lines(rows, columns, value_range)
    width = max(picture.shape[-1] for planes in lines[0].planes for picture, _ in planes)
    step = width * (1 + _GAP)
    span = step * max(len(line.places) for line in lines)
    figure = Figure(figsize=(_INCHES, _INCHES), facecolor="white")
    FigureCanvasAgg(figure)
    axis = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    top = _headed(axis, heading, width)
    for number, line in enumerate(lines):
        first = number == 0 or lines[number - 1].row is not line.row
        titles = line.titles if number == 0 or lines[number - 1].titles != line.titles else ()
        top = _draw_line(axis, line, top, step, titles, line.row.title if first else "")
    shown = sorted({label for line in lines for planes in line.planes for _, m in planes for label in _labels(m)})
    top = _legend(axis, [(_label_colour(k), _name(label_names, k)) for k in shown], top, step)
    axis.set(xlim=(0, span), ylim=(top, 0))
    axis.set_axis_off()
    figure.set_size_inches(span / width * _INCHES, top / width * _INCHES)
    return save_figure(figure, path)


def _lines(rows: Sequence[SheetRow], columns: int, value_range: tuple[float, float]) -> list[_Line]:
    lines = []
    for row in rows:
        for start in range(0, len(row.titles), columns):
            places = range(start, min(start + columns, len(row.titles)))
            planes = [_pictures(row.samples, place, value_range) for place in places]
            lines.append(_Line(row, places, tuple(row.titles[place] for place in places), planes))
    return lines


def _pictures(
    samples: Mapping[str, Tensor], place: int, value_range: tuple[float, float]
) -> list[tuple[Tensor, Tensor]]:
    image = samples["image"][place].detach().cpu().float()
    mask = samples["mask"][place].detach().cpu() if "mask" in samples else torch.zeros_like(image[:1])
    low, high = value_range
    shown = ((image if len(image) == 3 else image[:1]) - low) / (high - low)
    centre, volume = _centre(image, mask if "mask" in samples else None), image.ndim == 4
    pairs = []
    for axis in range(3 if volume else 1):
        picture, labels = (_plane(values, axis, centre).transpose(1, 2) for values in (shown.clamp(0, 1), mask))
        if volume:  # the superior or anterior end on top
            picture, labels = picture.flip(1), labels.flip(1)
        pairs.append((picture.expand(3, -1, -1), labels[0]))
    return pairs


def _headed(axis: Any, heading: str, width: float) -> float:
    """Where the lines begin."""
    if heading:
        axis.text(0, 0.05 * width, heading, fontsize=9, va="top", ha="left")
    return (0.1 + 0.2 * (heading.count("\n") + 1)) * width if heading else 0.0


def _draw_line(axis: Any, line: _Line, top: float, step: float, titles: Sequence[str], row_title: str) -> float:
    """Draws a line; returns where the next one begins."""
    width = step / (1 + _GAP)
    heights = [picture.shape[1] for picture, _ in line.planes[0]]
    if any(titles):
        top += _TITLE_GAP * width
    for column, title in enumerate(titles):
        axis.text(column * step + width / 2, top - 0.04 * width, title, fontsize=7, ha="center", va="bottom")
    bottom = top + sum(heights) + (len(heights) - 1) * _GAP * width
    axis.text(-0.25 * width if len(heights) > 1 else -0.08 * width, (top + bottom) / 2, row_title, fontsize=8, **_LEFT)
    for plane, height in enumerate(heights):
        if len(heights) > 1:
            axis.text(-0.04 * width, top + height / 2, _PLANES[plane], fontsize=6, rotation=90, ha="right", va="center")
        for column, planes in enumerate(line.planes):
            _draw_picture(axis, *planes[plane], column * step, top, width)
        top += height + _GAP * width
    return bottom + _LINE_GAP * width


_LEFT = {"ha": "right", "va": "center"}


def _draw_picture(axis: Any, picture: Tensor, labels: Tensor, left: float, top: float, width: float) -> None:
    rows, columns = labels.shape
    left += (width - columns) / 2
    extent = (left, left + columns, top + rows, top)
    axis.imshow(picture.movedim(0, -1).numpy(), extent=extent, interpolation="nearest", aspect="auto")
    x, y = left + 0.5 + torch.arange(columns), top + 0.5 + torch.arange(rows)
    for label in _labels(labels):
        inside = (labels == label).float()
        if bool((inside == 0).any()):
            colour = [_label_colour(label)]
            axis.contour(x.numpy(), y.numpy(), inside.numpy(), levels=[0.5], colors=colour, linewidths=0.7)


def _labels(mask: Tensor) -> list[int]:
    return [int(label) for label in mask.unique().tolist() if label != 0]


def _legend(axis: Any, entries: Sequence[tuple[str, str]], top: float, step: float) -> float:
    """Names of the outlines, one below the other."""
    for colour, name in entries:
        axis.plot([0, 0.15 * step], [top + 0.1 * step] * 2, color=colour, linewidth=2)
        axis.text(0.2 * step, top + 0.1 * step, name, fontsize=7, va="center", ha="left")
        top += 0.16 * step
    return top


def _name(names: Sequence[str], label: int) -> str:
    return names[label] if label < len(names) else f"label {label}"
