# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest
import torch

from monai_genaug.networks.layers.self_attention import SelfAttention


def trained(spatial_dims: int, channels: int) -> SelfAttention:
    """With values that are not zero any more."""
    layer = SelfAttention(spatial_dims, channels)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(0.5 * torch.randn(parameter.shape, generator=generator))
    return layer


@pytest.mark.parametrize(("channels", "spatial"), [(16, (3, 4)), (5, (2, 3, 2))])
def test_equals_the_naive_formula(channels: int, spatial: tuple[int, ...]) -> None:
    layer = trained(len(spatial), channels)
    x = torch.randn(2, channels, *spatial, generator=torch.Generator().manual_seed(1))
    out = layer(x).flatten(2).detach().numpy()
    W_query, W_key, W_value = (
        m.weight.detach().double().flatten(1).numpy() for m in (layer.query, layer.key, layer.value)
    )
    for item, positions in enumerate(x.double().flatten(2).numpy()):
        n_positions = positions.shape[1]
        for i in range(n_positions):
            query = W_query @ positions[:, i]
            weights = np.exp([query @ (W_key @ positions[:, j]) for j in range(n_positions)])
            weights /= weights.sum()
            attended = sum(weights[j] * (W_value @ positions[:, j]) for j in range(n_positions))
            np.testing.assert_allclose(out[item, :, i], positions[:, i] + attended, rtol=1e-4, atol=1e-5)


def test_starts_as_the_identity_and_learns_from_there() -> None:
    layer = SelfAttention(2, 16)
    x = torch.randn(1, 16, 4, 4)
    assert torch.equal(layer(x), x)
    layer(x).square().sum().backward()
    assert layer.value.weight.grad is not None
    assert layer.value.weight.grad.abs().max() > 0


@pytest.mark.parametrize(("channels", "count"), [(64, 512 + 512 + 4096), (4, 4 + 4 + 16)])
def test_parameters(channels: int, count: int) -> None:
    assert sum(p.numel() for p in SelfAttention(2, channels).parameters()) == count


def test_second_derivative() -> None:
    layer = trained(2, 8).double()
    x = torch.randn(1, 8, 2, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradgradcheck(layer, (x,))
