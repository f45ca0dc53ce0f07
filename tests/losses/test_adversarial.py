# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from monai_genaug.losses.adversarial import ADVERSARIAL_KINDS, discriminator_loss, generator_loss

REAL = np.array([2.5, -0.3, 0.9, -4.0])
FAKE = np.array([0.2, -1.7, 3.0, -0.9])


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1.0 / (1.0 + np.exp(-x))


DISCRIMINATOR = {
    "bce": -np.log(sigmoid(REAL)).mean() - np.log(1.0 - sigmoid(FAKE)).mean(),
    "hinge": np.maximum(0.0, 1.0 - REAL).mean() + np.maximum(0.0, 1.0 + FAKE).mean(),
    "wasserstein": FAKE.mean() - REAL.mean(),
}
GENERATOR = {"bce": -np.log(sigmoid(FAKE)).mean(), "hinge": -FAKE.mean(), "wasserstein": -FAKE.mean()}


@pytest.mark.parametrize("kind", ADVERSARIAL_KINDS)
def test_values_are_those_of_the_formulas(kind: str) -> None:
    real, fake = torch.from_numpy(REAL), torch.from_numpy(FAKE)
    assert discriminator_loss(kind, real, fake).item() == pytest.approx(DISCRIMINATOR[kind], rel=1e-12)
    assert generator_loss(kind, fake).item() == pytest.approx(GENERATOR[kind], rel=1e-12)


@pytest.mark.parametrize("kind", ADVERSARIAL_KINDS)
def test_gradient_of_the_generator_never_vanishes_where_it_is_found_out(kind: str) -> None:
    scores = torch.tensor([-60.0, -5.0, 0.0, 5.0], dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(generator_loss(kind, scores), scores)
    expected = -(1.0 - sigmoid(scores.detach().numpy())) / 4 if kind == "bce" else np.full(4, -0.25)
    np.testing.assert_allclose(slope.numpy(), expected, rtol=1e-12)


def test_hinge_ignores_scores_beyond_the_margin() -> None:
    real = torch.tensor([0.5, 1.5], requires_grad=True)
    fake = torch.tensor([-0.5, -1.5], requires_grad=True)
    slopes = torch.autograd.grad(discriminator_loss("hinge", real, fake), (real, fake))
    assert [slope.tolist() for slope in slopes] == [[-0.5, 0.0], [0.5, 0.0]]


def test_large_scores_stay_finite() -> None:
    far = torch.tensor([1e4, -1e4])
    assert discriminator_loss("bce", far, far).item() == pytest.approx(1e4)
    assert discriminator_loss("bce", torch.zeros(3), torch.zeros(3)).item() == pytest.approx(2.0 * math.log(2.0))


def test_unknown_kinds_are_named() -> None:
    with pytest.raises(ValueError, match=r"'lsgan', allowed: \('bce', 'hinge', 'wasserstein'\)"):
        discriminator_loss("lsgan", torch.zeros(1), torch.zeros(1))
    with pytest.raises(ValueError, match="'lsgan'"):
        generator_loss("lsgan", torch.zeros(1))
