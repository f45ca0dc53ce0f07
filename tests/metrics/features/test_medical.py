# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import itertools
import shutil
from pathlib import Path

import pytest
import torch
from torch import Tensor

from monai_genaug.experiments.feature_sanity import changed_set
from monai_genaug.metrics import MedicalFeatures, frechet_distance
from monai_genaug.metrics.features import medical
from monai_genaug.weights import WeightsHashError, file_sha256

FOLDER = Path(medical.__file__).parent / "weights"


def blobs(count: int, axes: int, seed: int) -> tuple[Tensor, Tensor]:
    """Bright balls on a dark ground, those of class 0 small, those of class 1 large."""
    size = 48 if axes == 2 else 24
    rng = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % 2
    grid = torch.stack(torch.meshgrid(*[torch.linspace(-1, 1, size)] * axes, indexing="ij"))
    column = (count, *[1] * (axes + 1))
    centres = (torch.rand(count, axes, generator=rng) - 0.5).view(count, axes, *[1] * axes)
    radius = (0.25 + 0.3 * labels + 0.1 * torch.rand(count, generator=rng)).view(column)
    distance = (grid - centres).square().sum(dim=1, keepdim=True).sqrt()
    return 0.2 + 0.6 * torch.sigmoid((radius - distance) * 20), labels


@pytest.mark.parametrize("axes", [2, 3])
def test_shipped_weights_are_small_and_recorded(axes: int) -> None:
    extract = MedicalFeatures(axes)
    path = FOLDER / f"medical_{axes}d.pt"
    assert path.stat().st_size <= 2 * 2**20
    assert extract.record["sha256"] == file_sha256(path)
    assert extract.record["licence"] == "CC-BY-SA-4.0"
    assert not [name for name in extract.record["n_train"] if "ham" in name or "derma" in name]
    channels = 3 if axes == 2 else 1
    assert extract(torch.rand(2, channels, *[20] * axes)).shape == (2, extract.n_features)


def test_other_weights_than_the_recorded_ones_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(FOLDER, tmp_path / "weights")
    path = tmp_path / "weights" / "medical_2d.pt"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    monkeypatch.setattr(medical, "_FOLDER", tmp_path / "weights")
    with pytest.raises(WeightsHashError, match="medical_2d"):
        MedicalFeatures(2)


@pytest.mark.parametrize("axes", [2, 3])
@pytest.mark.parametrize(
    ("change", "strengths"), [("noise", (0, 0.03, 0.1, 0.2)), ("blur", (0, 0.7, 1.5, 3)), ("modes", (0, 0.3, 0.6, 1))]
)
def test_distance_grows_with_the_change(axes: int, change: str, strengths: tuple[float, ...]) -> None:
    extract = MedicalFeatures(axes)
    images, labels = blobs(40, axes, seed=0)
    changed = [extract(changed_set(images, labels, change, strength)) for strength in strengths]
    values = [frechet_distance(changed[0], features) for features in changed]
    assert values[0] == pytest.approx(0.0, abs=1e-3)
    assert all(less * 1.5 < more for less, more in itertools.pairwise(values))


def test_colour_is_seen() -> None:
    extract, images = MedicalFeatures(), blobs(20, 2, seed=0)[0].expand(-1, 3, -1, -1)
    tinted = images * torch.tensor([1.0, 0.6, 0.6]).view(3, 1, 1)
    swapped = images * torch.tensor([0.6, 0.6, 1.0]).view(3, 1, 1)
    assert frechet_distance(extract(tinted), extract(swapped)) > 10 * frechet_distance(extract(images), extract(images))
    assert frechet_distance(extract(tinted), extract(swapped)) > 1.0
