# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""What the demo shows: a table, a check per side of the template, pictures."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import nibabel
import numpy as np
from nibabel.affines import apply_affine
from rich.console import Console
from rich.table import Table
from torch import Tensor

from monai_genaug.experiments.template_brain import LIMITS, SideReport
from monai_genaug.generators import GeneratorSpec

__all__ = ["ArmResult", "Report", "write_overlay"]


_LEFT, _RIGHT = (-27.0, -21.0, -14.0), (27.0, -21.0, -14.0)
_PLANES = (("coronal", 1, _LEFT), ("axial", 2, _LEFT), ("sagittal, left", 0, _LEFT), ("sagittal, right", 0, _RIGHT))
_WINDOW = ((-60.0, -75.0, -55.0), (60.0, 45.0, 40.0))  # RAS mm, corner to corner


@dataclass(frozen=True)
class ArmResult:
    """Dice of one arm: ``(n, 4)``, anterior, posterior, whole, mean of the two labels."""

    source: str
    geometric: bool
    dice: Tensor

    def cells(self) -> list[str]:
        """Table cells: training data, geometric augmentation, Dice."""
        means = self.dice.nanmean(dim=0).tolist()
        return [self.source, "yes" if self.geometric else "no", *(f"{means[i]:.3f}" for i in (3, 0, 1, 2))]


_COLUMNS = ["training data", "geometric augmentation", "Dice (mean of labels)", "anterior", "posterior", "whole"]


@dataclass
class Report:
    """Collects the demo's results.

    Args:
        spec: of the generator.
        steps: optimisation steps per network.
        n_synthetic, n_real: sizes of the training sets.
        machine: what it ran on.
    """

    spec: GeneratorSpec
    steps: int
    n_synthetic: int
    n_real: int
    machine: str
    chain_flags: list[bool] = field(default_factory=list)
    sides: list[SideReport] = field(default_factory=list)
    arms: list[ArmResult] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def passed(self) -> bool:
        """Whether both sides of the template pass."""
        return bool(self.sides) and all(side.passed for side in self.sides)

    def write(self, path: Path) -> Path:
        """Writes the report as Markdown, atomically."""
        partial = path.with_suffix(".partial")
        partial.write_text("\n".join([*self._head(), *self._template(), *self._downstream(), *self._foot()]) + "\n")
        partial.replace(path)
        return path

    def summary(self) -> str:
        """The report's tables for the terminal."""
        console = Console(width=120)
        with console.capture() as capture:
            if self.arms:
                table = Table(*_COLUMNS, title="Dice on real test volumes")
                for arm in self.arms:
                    table.add_row(*arm.cells())
                console.print(table)
            for side in self.sides:
                console.print(f"template, {side.side}: {_verdict(side.passed)}: {_words(side)}", highlight=False)
        return capture.get()

    def _head(self) -> list[str]:
        made = " and ".join(self.spec.outputs)
        return [
            f"# Demo: {self.spec.name}",
            "",
            f"The bundle makes {made} of {'x'.join(map(str, self.spec.spatial_shape))} voxels together:",
            "",
            "![samples](samples.png)",
            "",
            "One item, eight times through a MONAI chain that begins with "
            '`RandGenerativeSampled(["image", "label"], generator, prob=0.3)`: '
            f"{sum(self.chain_flags)} of {len(self.chain_flags)} times a new sample took its place.",
            "",
            "![chain](chain.png)",
        ]

    def _template(self) -> list[str]:
        low, high = LIMITS.volume_cm3
        rows = [f"| {side.side} | {_words(side)} | {_verdict(side.passed)} |" for side in self.sides]
        return [
            "",
            "## A real brain, after training on synthetic pairs only",
            "",
            f"A 3D U-Net, {self.steps} steps on {self.n_synthetic} synthetic pairs, no real volume at all, applied to "
            "the MNI152 T1 template. The template is an average of 152 brains, not a patient.",
            "",
            "![template](template.png)",
            "",
            f"| side | found | check: one component >= {LIMITS.share:.0%}, {low:g}-{high:g} cm3, "
            f"centroid within {LIMITS.distance_mm:g} mm |",
            "|---|---|---|",
            *rows,
        ]

    def _downstream(self) -> list[str]:
        if not self.arms:
            return ["", "No real hippocampus volumes: set `GENAUG_DATA` to a folder with `Task04_Hippocampus`."]
        count = len(self.arms[0].dice)
        return [
            "",
            "## Dice on real test volumes",
            "",
            f"{count} test volumes of subjects that neither the bundle nor any network here has seen. Real: "
            f"{self.n_real} volumes of the validation part. Every network takes {self.steps} steps from one seed; the "
            "model card has five seeds and confidence intervals.",
            "",
            "| " + " | ".join(_COLUMNS) + " |",
            "|" + "---|" * len(_COLUMNS),
            *("| " + " | ".join(arm.cells()) + " |" for arm in self.arms),
        ]

    def _foot(self) -> list[str]:
        return ["", f"{self.seconds:.0f} s on {self.machine}."]


def write_overlay(template: nibabel.nifti1.Nifti1Image, found: np.ndarray, path: Path) -> Path:
    """A picture of the template with the outlines of what was found: coronal, axial, both sagittal planes."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    volume = np.asarray(template.dataobj, dtype=np.float32)
    low, high = _voxel(template, _WINDOW[0]), _voxel(template, _WINDOW[1])
    figure = Figure(figsize=(14, 3.6), facecolor="black", layout="constrained")
    FigureCanvasAgg(figure)
    for axes, (name, axis, point) in zip(figure.subplots(1, 4), _PLANES, strict=True):
        index = _voxel(template, point)[axis]
        axes.imshow(volume.take(index, axis).T, cmap="gray", origin="lower")
        labels = found.take(index, axis).T
        for label, colour in ((1, "#ff4d4d"), (2, "#33ccff")):
            if (labels == label).any():
                axes.contour(labels == label, levels=[0.5], colors=colour, linewidths=1.5)
        across, up = (other for other in range(3) if other != axis)
        axes.set_xlim(low[across], high[across])
        axes.set_ylim(low[up], high[up])
        axes.set_title(name, color="white")
        axes.axis("off")
    figure.savefig(path, dpi=90, facecolor="black")
    return path


def _voxel(template: nibabel.nifti1.Nifti1Image, point: tuple[float, float, float]) -> tuple[int, ...]:
    return tuple(round(v) for v in apply_affine(np.linalg.inv(template.affine), point))


def _words(side: SideReport) -> str:
    x, y, z = side.centroid
    return (
        f"largest component {side.share:.0%} of the voxels, {side.volume_cm3:.1f} cm3, "
        f"centroid ({x:.0f}, {y:.0f}, {z:.0f}) mm, {side.distance_mm:.1f} mm away"
    )


def _verdict(passed: bool) -> str:
    return "pass" if passed else "FAIL"
