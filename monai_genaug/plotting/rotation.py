# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Volumes that turn round, as an animated GIF."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from monai_genaug.plotting.figures import _label_colour

__all__ = ["rotating_gif"]

_HEIGHT = 192  # pixels of the longer side, about
_FRAMES = 36
_MILLISECONDS = 80
_COLOURS = 64  # of the file's palette
_LIGHT = (-0.45, -0.6, 0.66)  # from the left, from above, from the viewer
_AMBIENT = 0.3
_SHAPE = "#e0d8c8"
_MARGIN = 3  # voxels around surfaces


def rotating_gif(
    samples: Mapping[str, Tensor],
    path: str | os.PathLike[str],
    value_range: tuple[float, float] = (0.0, 1.0),
    surface: bool = False,
    frames: int = _FRAMES,
) -> Path:
    """Writes an animation of volumes that turn about their last axis, side by side.

    With masks, the surfaces of the labels are shown, in the colours of the other pictures; without, the brightest voxel
    on each ray.

    Args:
        samples: ``image`` ``(n, C, *spatial)`` in 3D, of which the first channel is shown, and, optionally, ``mask``
            ``(n, 1, *spatial)``. The axes are taken as right, anterior, superior.
        path: the file. Its folder is created if needed, the file replaced atomically.
        value_range: intensities shown black and white.
        surface: whether images without masks are shapes, shown by their surface at the middle of the range.
        frames: pictures of a turn.

    Returns:
        The path.

    Raises:
        ValueError: no volumes, a mask of another shape, or fewer than one frame. Nothing is written.
    """
    image, mask = samples["image"].detach().cpu().float()[:, :1], samples.get("mask")
    if image.ndim != 5 or (mask is not None and mask.shape != image.shape) or frames < 1:
        found = None if mask is None else tuple(mask.shape)
        raise ValueError(
            f"image has shape {tuple(samples['image'].shape)}, mask {found}, frames is {frames}; needed: volumes "
            "(n, C, *spatial), masks of the same shape, 1 or more."
        )
    low, high = value_range
    shown = ((image - low) / (high - low)).clamp(0, 1)
    colours: list[str] = []
    if mask is not None or surface:
        labels = (shown > 0.5).long() if mask is None else mask.detach().cpu().long()
        highest = max(1, int(labels.max()))
        colours = [_SHAPE] if mask is None else [_label_colour(label) for label in range(1, highest + 1)]
        shown = _soft_labels(_around(labels), highest)
    views = [_view(shown, 2 * math.pi * frame / frames, colours) for frame in range(frames)]
    return _write(views, Path(path))


def _around(labels: Tensor) -> Tensor:
    """The box that holds all labels and a margin; everything where there are none."""
    places = labels[:, 0].amax(dim=0).nonzero()
    if not len(places):
        return labels
    first, last = places.amin(dim=0), places.amax(dim=0)
    box = tuple(slice(a, b + 1) for a, b in zip(first.tolist(), last.tolist(), strict=True))
    inner = labels[(slice(None), slice(None), *box)]
    return functional.pad(inner, [_MARGIN] * 6)


def _soft_labels(mask: Tensor, highest: int) -> Tensor:
    """Share of each label 1, 2, ... around each voxel, ``(n, labels, *spatial)``; smooth, so that surfaces are."""
    shares = torch.cat([(mask == label).float() for label in range(1, highest + 1)], dim=1)
    return functional.avg_pool3d(functional.avg_pool3d(shares, 3, 1, 1), 3, 1, 1)


def _view(volume: Tensor, angle: float, colours: Sequence[str]) -> Tensor:
    """One picture of all volumes, ``(n, 3, rows, columns)`` in [0, 1]; of surfaces if there are colours."""
    turned = _turned(volume, angle)
    rows, columns = turned.shape[3:]
    zoom = max(1.0, _HEIGHT / max(rows, columns))
    size = (round(rows * zoom), round(columns * zoom))
    if not colours:
        return functional.interpolate(turned.amax(dim=2), size, mode="bilinear").expand(-1, 3, -1, -1)
    depth, shares = _first_surface(turned)
    depth, shares = (functional.interpolate(values, size, mode="bilinear") for values in (depth, shares))
    palette = torch.tensor([[int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)] for colour in colours])
    lit = palette[shares.argmax(dim=1)].movedim(-1, 1) * _light(depth, zoom)
    return torch.where(shares.sum(dim=1, keepdim=True) > 0.5, lit, torch.zeros(()))


def _turned(volume: Tensor, angle: float) -> Tensor:
    """The volume seen from an angle: ``(n, c, depth, rows, columns)``, rays along ``depth``, first the nearest."""
    count, channels, right, anterior, superior = volume.shape
    side = math.ceil(math.hypot(right, anterior))
    offsets = torch.arange(side) + 0.5 - side / 2  # voxels away from the axis
    depth, across = torch.meshgrid(offsets, offsets, indexing="ij")
    x = across * math.cos(angle) - depth * math.sin(angle)
    y = across * math.sin(angle) + depth * math.cos(angle)
    # grid_sample takes the coordinates of the last axis first, in units of half an axis
    grid = torch.stack([2 * y / anterior, 2 * x / right], dim=-1).expand(count, -1, -1, -1)
    planes = volume.movedim(-1, 2).flatten(1, 2)  # (n, c * superior, right, anterior)
    turned: Tensor = functional.grid_sample(planes, grid, align_corners=False)
    volumes: Tensor = turned.unflatten(1, (channels, superior))
    return volumes.flip(2).movedim(2, 3)


def _first_surface(shares: Tensor) -> tuple[Tensor, Tensor]:
    """Where each ray meets a surface, or comes nearest to one, and shares of the labels there.

    Args:
        shares: of the labels, ``(n, labels, depth, rows, columns)``.

    Returns:
        Depth in voxels ``(n, 1, rows, columns)`` and shares ``(n, labels, rows, columns)``.
    """
    solid = shares.sum(dim=1)
    inside = solid > 0.5
    place = torch.where(inside.any(dim=1), inside.float().argmax(dim=1), solid.argmax(dim=1))[:, None]
    here, before = solid.gather(1, place), solid.gather(1, (place - 1).clamp(min=0))
    within = ((here - 0.5) / (here - before).clamp(min=1e-3)).clamp(0, 1)
    deepest = solid.amax(dim=1, keepdim=True)
    labels = shares.gather(2, place[:, None].expand(-1, shares.shape[1], -1, -1, -1))[:, :, 0]
    return place - within, labels * (deepest / here.clamp(min=1e-3))


def _light(depth: Tensor, zoom: float) -> Tensor:
    """Brightness of a surface by its direction (Lambert's law), ``(n, 1, rows, columns)``."""
    smooth = functional.avg_pool2d(functional.pad(depth, [3] * 4, mode="replicate"), 7, 1)
    down, across = torch.gradient(smooth * zoom, dim=(2, 3))
    x, y, z = _LIGHT
    lambert = x * across + y * down + z  # the normal towards the viewer is (across, down, 1): depth grows away
    length = (1 + down.square() + across.square()).sqrt()
    return _AMBIENT + (1 - _AMBIENT) * (lambert / length).clamp(0, 1)


def _write(views: Sequence[Tensor], path: Path) -> Path:
    from PIL import Image

    beside = [torch.cat(list(view.clamp(0, 1)), dim=2).movedim(0, -1) for view in views]
    pictures = [Image.fromarray((picture * 255).round().to(torch.uint8).numpy()) for picture in beside]
    some = torch.cat(beside[:: max(1, len(beside) // 4)])
    palette = Image.fromarray((some * 255).round().to(torch.uint8).numpy()).quantize(_COLOURS)
    first, *others = [picture.quantize(palette=palette, dither=Image.Dither.NONE) for picture in pictures]
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}")
    first.save(temporary, format="GIF", save_all=True, append_images=others, duration=_MILLISECONDS, loop=0)
    temporary.replace(path)
    return path
