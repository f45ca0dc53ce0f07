# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""A picture of the samples of an audit that are closest to training items."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from monai_genaug.generators import SampleGenerator
from monai_genaug.plotting import save_figure
from monai_genaug.quality.audit_items import AuditItems, audited_output
from monai_genaug.quality.audit_report import AuditReport

__all__ = ["closest_pairs_picture"]

_INCHES = 1.4
_ROWS = ("sample", "nearest training", "difference")


def closest_pairs_picture(
    report: AuditReport, generator: SampleGenerator, train: AuditItems, path: str | os.PathLike[str]
) -> Path:
    """Writes a picture with one column per pair: the sample, the training item, and their difference.

    Samples are drawn again from their seeds. Of volumes, the middle planes across the three axes are shown one below
    the other. The picture shows training items: it is as confidential as they are.

    Args:
        report: of an audit of ``generator``.
        generator: that was audited.
        train: the items that the audit was given.
        path: the file, a PNG; its folder is created if needed, the file replaced atomically.

    Returns:
        The path.

    Raises:
        ValueError: a report of another generator, or one without pairs.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    if (report.generator, report.sha256) != (generator.spec.name, generator.spec.sha256):
        raise ValueError(f"the report is of {report.generator!r}, the generator is {generator.spec.name!r}.")
    if not report.pairs:
        raise ValueError(f"the report of {report.generator!r} has no pairs.")
    samples, items = _pairs(report, generator, train)
    planes = [[_montage(image) for image in images] for images in (samples, items, samples - items)]
    height = planes[0][0].shape[0] / planes[0][0].shape[1]
    figure = Figure(figsize=(_INCHES * len(samples), 3 * _INCHES * height + 0.3), facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.subplots(3, len(samples), squeeze=False, gridspec_kw={"wspace": 0.04, "hspace": 0.04})
    for row, images in enumerate(planes):
        for column, image in enumerate(images):
            _show(axes[row][column], image, is_difference=row == 2)
        axes[row][0].set_ylabel(_ROWS[row], fontsize=7)
    for column, pair in enumerate(report.pairs):
        axes[0][column].set_title(f"{pair.distance:.2f}, ratio {pair.ratio:.2f}", fontsize=6, pad=2)
    return save_figure(figure, path)


def _pairs(report: AuditReport, generator: SampleGenerator, train: AuditItems) -> tuple[Tensor, Tensor]:
    """Samples and training items ``(n, C, *spatial)``, scaled to [0, 1]."""
    name = audited_output(generator.spec)
    low, high = generator.spec.outputs[name].value_range
    labels = None if generator.spec.classes is None else [pair.class_id or 0 for pair in report.pairs]
    samples = generator.sample([pair.seed for pair in report.pairs], labels)[name].cpu()
    items = train.outputs[name][torch.tensor([pair.train_index for pair in report.pairs])].cpu()
    return (samples.float() - low) / (high - low), (items.float() - low) / (high - low)


def _montage(image: Tensor) -> Tensor:
    """Rows and columns of an image ``(rows, columns)`` or ``(rows, columns, 3)``; planes of a volume stacked."""
    if image.ndim == 3:
        return image.movedim(0, -1) if len(image) == 3 else image[0]
    # the last axis of a plane goes up
    planes = [image[0].select(axis, image.shape[1 + axis] // 2).T.flip(0) for axis in range(3)]
    width = max(plane.shape[1] for plane in planes)
    return torch.cat([torch.nn.functional.pad(plane, (0, width - plane.shape[1])) for plane in planes])


def _show(axis: Any, image: Tensor, is_difference: bool) -> None:
    if is_difference:
        grey = image.mean(dim=-1) if image.ndim == 3 else image
        axis.imshow(grey.numpy(), cmap="RdBu_r", vmin=-1.0, vmax=1.0)
    else:
        axis.imshow(image.clamp(0, 1).numpy(), cmap="gray", vmin=0.0, vmax=1.0)
    axis.set(xticks=[], yticks=[])
