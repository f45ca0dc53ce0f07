# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import math

import pytest
import torch

from monai_genaug.metrics import RandomFeatures


@pytest.mark.parametrize(("axes", "shape"), [(2, (3, 20, 30)), (3, (1, 12, 14, 9))])
def test_a_function_of_the_seed_alone(axes: int, shape: tuple[int, ...]) -> None:
    images = torch.rand(3, *shape)
    before = torch.get_rng_state()
    first, second = RandomFeatures(axes), RandomFeatures(axes)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(7)
    assert torch.equal(RandomFeatures(axes)(images), first(images))
    assert torch.equal(first(images), second(images))
    assert not torch.allclose(RandomFeatures(axes, seed=1)(images), first(images))
    assert first(images).shape == (3, first.n_features)


def test_weights_have_the_variance_of_he() -> None:
    kernels = [parameter for parameter in RandomFeatures().parameters() if parameter.ndim > 1]
    for kernel in kernels[2:]:
        assert float(kernel.std()) == pytest.approx(math.sqrt(2.0 / kernel[0].numel()), rel=0.02)
