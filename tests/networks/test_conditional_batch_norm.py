# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from monai_genaug.networks.layers.conditional_batch_norm import ConditionalBatchNorm


def features(spatial: tuple[int, ...]) -> Tensor:
    return 3.0 + 2.0 * torch.randn(4, 3, *spatial, generator=torch.Generator().manual_seed(0))


def with_tables(spatial_dims: int) -> ConditionalBatchNorm:
    layer = ConditionalBatchNorm(spatial_dims, 3, 2)
    with torch.no_grad():
        layer.gain.copy_(torch.tensor([[1.0, 2.0, 3.0], [-1.0, 0.5, 0.0]]))
        layer.bias.copy_(torch.tensor([[0.0, 1.0, 2.0], [5.0, -5.0, 0.25]]))
    return layer


@pytest.mark.parametrize("spatial", [(5, 4), (3, 2, 4)])
def test_equals_the_formula(spatial: tuple[int, ...]) -> None:
    layer, x, classes = with_tables(len(spatial)), features(spatial), [0, 1, 1, 0]
    out = layer(x, torch.eye(2)[classes]).detach().numpy()
    values = x.double().numpy()
    for channel in range(3):
        plane = values[:, channel]
        normalised = (plane - plane.mean()) / np.sqrt(plane.var() + 1e-5)
        for item, label in enumerate(classes):
            gain, bias = layer.gain[label, channel].item(), layer.bias[label, channel].item()
            np.testing.assert_allclose(out[item, channel], gain * normalised[item] + bias, rtol=1e-4, atol=1e-5)


def test_starts_as_batch_norm_for_every_class() -> None:
    layer, x = ConditionalBatchNorm(2, 3, 2), features((5, 4))
    assert {name: tuple(p.shape) for name, p in layer.named_parameters()} == {"gain": (2, 3), "bias": (2, 3)}
    plain = torch.nn.BatchNorm2d(3)
    for label in range(2):
        torch.testing.assert_close(layer(x, torch.eye(2)[[label] * 4]), plain(x))
    layer.eval(), plain.eval()
    torch.testing.assert_close(layer(x, torch.eye(2)[[0, 1, 0, 1]]), plain(x))


def test_soft_weights_mix_the_classes() -> None:
    layer, x = with_tables(2).eval(), features((5, 4))
    first, second = (layer(x, torch.eye(2)[[label] * 4]) for label in range(2))
    mixed = layer(x, torch.tensor([[0.25, 0.75]]).expand(4, 2))
    torch.testing.assert_close(mixed, 0.25 * first + 0.75 * second, rtol=1e-4, atol=1e-5)
