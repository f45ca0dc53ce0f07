# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from monai_genaug.data import medmnist_items
from monai_genaug.quality.covariate import covariate_shift

REAL = (0.5, 0.3, 0.2)


def draw(count: int, shares: Sequence[float], seed: int, gap: float = 2.5) -> tuple[Tensor, list[str]]:
    """Features ``(count, 5)`` of items of three devices, and the devices."""
    rng = np.random.default_rng(seed)
    device = rng.choice(3, count, p=shares)
    return torch.from_numpy(gap * np.eye(3, 5)[device] + rng.standard_normal((count, 5))), [f"D{d}" for d in device]


def test_the_same_distribution_passes() -> None:
    real, devices = draw(600, REAL, 0)
    report = covariate_shift(real, devices, draw(600, REAL, 1)[0])
    assert report.verdict == "no difference found"
    assert report.passes
    assert report.p_value > 0.05
    assert report.total_variation < 0.08
    assert report.accuracy > 0.85
    assert [share.value for share in report.shares] == ["D0", "D1", "D2"]
    assert sum(share.synthetic for share in report.shares) == pytest.approx(1)


def test_a_dropped_mode_fails() -> None:
    real, devices = draw(600, REAL, 0)
    report = covariate_shift(real, devices, draw(600, (0.6, 0.4, 0.0), 1)[0])
    assert (report.verdict, report.passes) == ("differs", False)
    assert report.p_value < 1e-3
    dropped = report.shares[2]
    assert dropped.synthetic < 0.02
    assert dropped.high < -0.1
    assert report.total_variation == pytest.approx(0.2, abs=0.06)
    low, high = report.total_variation_interval
    assert low < report.total_variation < high


def test_errors_of_the_classifier_are_corrected() -> None:
    shares = (0.1, 0.2, 0.7)
    real, devices = draw(4000, REAL, 0, gap=1.2)
    report = covariate_shift(real, devices, draw(4000, shares, 1, gap=1.2)[0], n_bootstrap=100)
    wrong = [abs(found.predicted - share) for found, share in zip(report.shares, shares, strict=True)]
    corrected = [abs(found.synthetic - share) for found, share in zip(report.shares, shares, strict=True)]
    assert max(wrong) > 0.12
    assert max(corrected) < 0.04


def test_intervals_cover_the_true_difference() -> None:
    shares, covered = (0.3, 0.3, 0.4), 0
    for seed in range(30):
        real, devices = draw(250, REAL, 2 * seed, gap=1.8)
        report = covariate_shift(real, devices, draw(250, shares, 2 * seed + 1, gap=1.8)[0], n_bootstrap=150)
        differences = [a - b for a, b in zip(shares, REAL, strict=True)]
        covered += all(s.low <= d <= s.high for s, d in zip(report.shares, differences, strict=True))
    assert covered >= 26  # 95 % joint confidence; fewer has a chance of 2 %


def test_a_classifier_that_guesses_is_undecided() -> None:
    real, devices = draw(300, REAL, 0, gap=0.0)
    report = covariate_shift(real, devices, draw(300, (1.0, 0.0, 0.0), 1, gap=0.0)[0], n_bootstrap=200)
    assert (report.verdict, report.passes) == ("undecided", False)


def test_classes_are_compared_on_their_own() -> None:
    first, devices = draw(400, REAL, 0)
    second, more = draw(400, REAL, 1)
    one, other = draw(400, (0.7, 0.3, 0.0), 2)[0], draw(400, (0.3, 0.3, 0.4), 3)[0]
    report = covariate_shift(
        torch.cat([first, second]), devices + more, torch.cat([one, other]), ["a"] * 400 + ["b"] * 400,
        ["a"] * 400 + ["b"] * 400, n_bootstrap=200,
    )  # fmt: skip
    assert report.verdict == "no difference found"  # the classes make up for each other
    assert {name: part.verdict for name, part in report.per_class.items()} == {"a": "differs", "b": "differs"}
    assert not report.passes
    assert report.to_dict()["per_class"]["a"]["verdict"] == "differs"


def test_subjects_widen_the_intervals() -> None:
    real, devices = draw(60, REAL, 0)
    synthetic = draw(600, REAL, 1)[0]
    repeated, names = real.repeat(10, 1), devices * 10
    apart = covariate_shift(repeated, names, synthetic, n_bootstrap=200)
    together = covariate_shift(repeated, names, synthetic, subjects=list(range(60)) * 10, n_bootstrap=200)
    widths = [[s.high - s.low for s in report.shares] for report in (apart, together)]
    assert all(b > 1.5 * a for a, b in zip(*widths, strict=True))


def test_seed_alone_decides() -> None:
    real, devices = draw(200, REAL, 0)
    synthetic = draw(200, REAL, 1)[0]
    first = covariate_shift(real, devices, synthetic, n_bootstrap=100, seed=1)
    np.random.seed(3)
    state = np.random.get_state()[1].tolist()
    assert covariate_shift(real, devices, synthetic, n_bootstrap=100, seed=1) == first
    assert covariate_shift(real, devices, synthetic, n_bootstrap=100, seed=2) != first
    assert np.random.get_state()[1].tolist() == state


def test_refusals() -> None:
    real, devices = draw(60, REAL, 0)
    with pytest.raises(ValueError, match="3 covariates for 60 items"):
        covariate_shift(real, devices[:3], real)
    with pytest.raises(ValueError, match="at least 2 are needed"):
        covariate_shift(real, ["D0"] * 60, real)
    with pytest.raises(ValueError, match=r"fewer items or subjects than 5 folds: \{'rare': 1\}"):
        covariate_shift(real, ["rare", *devices[1:]], real)
    with pytest.raises(ValueError, match="labels are given for one set"):
        covariate_shift(real, devices, real, real_labels=[0] * 60)
    with pytest.raises(ValueError, match=r"classes \[1\] are in one set alone"):
        covariate_shift(real, devices, real, [0] * 60, [1] + [0] * 59)
    for name, value in (("tolerance", 1.0), ("confidence", 0.0), ("folds", 1), ("n_bootstrap", 99)):
        with pytest.raises(ValueError, match=f"{name} is {value}, allowed"):
            covariate_shift(real, devices, real, **{name: value})  # type: ignore[arg-type]


def test_a_set_of_real_images_without_one_diagnosis(genaug_data: Path) -> None:
    folder = genaug_data / "medmnist"
    if not (folder / "pneumoniamnist.npz").is_file():
        pytest.skip(f"{folder} has no pneumoniamnist.npz")
    items = medmnist_items("pneumoniamnist", folder, "train")[:2000]
    images = torch.stack([torch.from_numpy(item["image"]) for item in items])
    features = avg_pool2d(images.float(), 4).flatten(1)
    diagnosis = torch.tensor([item["label"] for item in items])
    real, other = (features[:1200], diagnosis[:1200]), (features[1200:], diagnosis[1200:])
    same = covariate_shift(*real, other[0], n_bootstrap=200)
    assert same.passes
    assert abs(same.shares[0].synthetic - float((other[1] == 0).double().mean())) < 0.02
    only = covariate_shift(*real, other[0][other[1] == 1], n_bootstrap=200)
    assert only.verdict == "differs"
    assert only.shares[0].synthetic < 0.02
