# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Both hippocampi of a real brain: the MNI ICBM152 T1 template that comes inside the nilearn package.

The template is an average of 152 brains in one space, smoother than any single scan. Finding its hippocampi shows that
a network works on volumes of another source; it says nothing about single patients.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import nibabel
import numpy as np
import torch
from nibabel.affines import apply_affine
from scipy import ndimage
from torch import Tensor, nn

from monai_genaug.experiments.segmentation import predict
from monai_genaug.generators import SampleGenerator

__all__ = ["SideReport", "load_template", "segment_template"]

CENTRE = (26.0, -21.0, -14.0)  # RAS mm of the right crop; the left one has -26
CROP = (36, 50, 36)  # voxels of 1 mm, the median size of the crops that the bundle was trained on
EXPECTED = (27.0, -21.0, -14.0)


@dataclass(frozen=True)
class _Limits:
    """What a plausible hippocampus of the template looks like."""

    share: float = 0.9
    volume_cm3: tuple[float, float] = (2.0, 6.0)
    distance_mm: float = 8.0


LIMITS = _Limits()


@dataclass(frozen=True)
class SideReport:
    """What was found on one side.

    Args:
        side: ``"left"`` or ``"right"``.
        share: part of the found voxels that lies in the largest component.
        volume_cm3: volume of that component.
        centroid: RAS mm.
        distance_mm: of the centroid from (+-27, -21, -14).
    """

    side: str
    share: float
    volume_cm3: float
    centroid: tuple[float, float, float]
    distance_mm: float

    @property
    def passed(self) -> bool:
        """One component holds at least 90 %, 2 to 6 cm3, centroid within 8 mm."""
        low, high = LIMITS.volume_cm3
        is_one, is_near = self.share >= LIMITS.share, self.distance_mm <= LIMITS.distance_mm
        return is_one and low <= self.volume_cm3 <= high and is_near


def load_template() -> nibabel.nifti1.Nifti1Image:
    """The T1 template, 197 x 233 x 189 voxels of 1 mm, axes RAS.

    Raises:
        FileNotFoundError: nilearn is not installed, or its file has moved.
    """
    spec = find_spec("nilearn")
    folder = Path(spec.origin).parent if spec is not None and spec.origin is not None else Path("nilearn")
    path = folder / "datasets" / "data" / "mni_icbm152_t1_tal_nlin_sym_09a_converted.nii.gz"
    if not path.is_file():
        raise FileNotFoundError(f"{path} is not there: install the template with `pip install nilearn`.")
    image: nibabel.nifti1.Nifti1Image = nibabel.as_closest_canonical(nibabel.load(path))
    return image


def segment_template(
    network: nn.Module, generator: SampleGenerator, template: nibabel.nifti1.Nifti1Image
) -> tuple[np.ndarray, list[SideReport]]:
    """Segments both hippocampi by a network trained in the generator's space, where all crops are left ones.

    Args:
        network: from the generator's images ``(n, 1, *spatial_shape)`` to label logits.
        generator: its preprocessing is applied to the crops; the right crop is mirrored before and after.
        template: as :func:`load_template` returns it.

    Returns:
        Labels in the template's grid, and one report per side.
    """
    volume = np.asarray(template.dataobj, dtype=np.float32)
    found = np.zeros(volume.shape, dtype=np.uint8)
    reports = []
    for side, sign in (("left", -1.0), ("right", 1.0)):
        box = _box(template.affine, (sign * CENTRE[0], *CENTRE[1:]), CROP)
        crop = torch.from_numpy(volume[box].copy())[None]
        labels = _labels_of_crop(network, generator, crop.flip(1) if side == "right" else crop)
        found[box] = (labels.flip(1) if side == "right" else labels)[0].numpy()
        alone = np.zeros_like(found)
        alone[box] = found[box]
        reports.append(_report(side, alone > 0, template.affine, (sign * EXPECTED[0], *EXPECTED[1:])))
    return found, reports


def _labels_of_crop(network: nn.Module, generator: SampleGenerator, crop: Tensor) -> Tensor:
    """Labels ``(1, *crop)`` of a left crop ``(1, *crop)``."""
    image = generator.preprocessing(["image"], load=False, outputs=["image"])({"image": crop})["image"]
    labels = predict(network, torch.as_tensor(image)[None])[0]
    starts = [(whole - part) // 2 for whole, part in zip(labels.shape[1:], crop.shape[1:], strict=True)]
    inner = tuple(slice(start, start + size) for start, size in zip(starts, crop.shape[1:], strict=True))
    return labels[(slice(None), *inner)]


def _box(affine: np.ndarray, centre_mm: tuple[float, ...], size: tuple[int, ...]) -> tuple[slice, ...]:
    centre = apply_affine(np.linalg.inv(affine), centre_mm)
    return tuple(slice(round(c) - s // 2, round(c) - s // 2 + s) for c, s in zip(centre, size, strict=True))


def _report(side: str, found: np.ndarray, affine: np.ndarray, expected: tuple[float, ...]) -> SideReport:
    components, count = ndimage.label(found)
    if count == 0:
        nowhere = (float("nan"),) * 3
        return SideReport(side, 0.0, 0.0, nowhere, float("inf"))
    sizes = np.bincount(components.ravel())[1:]
    largest = components == 1 + int(sizes.argmax())
    centroid = apply_affine(affine, np.argwhere(largest).mean(axis=0))
    cm3 = float(largest.sum() * abs(np.linalg.det(affine[:3, :3])) / 1000.0)
    distance = float(np.linalg.norm(centroid - np.asarray(expected)))
    x, y, z = (float(value) for value in centroid)
    return SideReport(side, float(sizes.max() / sizes.sum()), cm3, (x, y, z), distance)
