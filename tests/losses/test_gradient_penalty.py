# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from monai_genaug.losses.gradient_penalty import gradient_penalty


def images(seed: int, *shape: int) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_linear_critic_has_the_slope_of_its_weight() -> None:
    weight = torch.tensor([3.0, -4.0, 12.0], dtype=torch.float64, requires_grad=True)  # norm 13
    penalty = gradient_penalty(lambda x: x @ weight, images(0, 5, 3), images(1, 5, 3), images(2, 5))
    assert penalty.item() == pytest.approx(144.0)
    (slope,) = torch.autograd.grad(penalty, weight)
    torch.testing.assert_close(slope, 2.0 * 12.0 * weight.detach() / 13.0)


def test_slope_is_taken_at_the_mixed_images() -> None:
    real, fake, mix = images(0, 4, 2, 3, 3), images(1, 4, 2, 3, 3), torch.tensor([0.0, 0.25, 0.7, 1.0]).double()
    penalty = gradient_penalty(lambda x: 0.5 * (x**2).flatten(1).sum(dim=1), real, fake, mix)  # its gradient is x
    at = [share * r + (1.0 - share) * f for share, r, f in zip(mix.numpy(), real.numpy(), fake.numpy(), strict=True)]
    assert penalty.item() == pytest.approx(sum(((x**2).sum() ** 0.5 - 1.0) ** 2 for x in at) / 4)


def test_gradient_of_the_critic_agrees_with_finite_differences() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        critic = nn.Sequential(nn.Conv2d(1, 3, 3), nn.LeakyReLU(0.2), nn.Flatten(), nn.Linear(12, 6), nn.SiLU())
        critic = critic.append(nn.Linear(6, 1)).double()
    kernel, real, fake, mix = critic[3].weight, images(0, 3, 1, 4, 4), images(1, 3, 1, 4, 4), images(2, 3)

    def value() -> Tensor:
        return gradient_penalty(lambda x: critic(x).squeeze(1), real, fake, mix)

    (slope,) = torch.autograd.grad(value(), kernel)
    with torch.no_grad():
        kernel[2, 5] += 1e-6
        above = value()
        kernel[2, 5] -= 2e-6
        below = value()
    assert slope[2, 5].item() == pytest.approx((above - below).item() / 2e-6, rel=1e-4)


def test_no_gradient_flows_into_the_images() -> None:
    real, fake = images(0, 2, 3).requires_grad_(), images(1, 2, 3).requires_grad_()
    weight = torch.ones(3, dtype=torch.float64, requires_grad=True)
    gradient_penalty(lambda x: (x**2) @ weight, real, fake, images(2, 2)).backward()
    assert real.grad is None
    assert fake.grad is None
    assert weight.grad is not None


@pytest.mark.parametrize("shapes", [((2, 3), (2, 4), (2,)), ((2, 3), (1, 3), (2,)), ((2, 3), (2, 3), (1,))])
def test_shapes_that_do_not_fit(shapes: tuple[tuple[int, ...], ...]) -> None:
    real, fake, mix = (torch.rand(shape) for shape in shapes)
    with pytest.raises(ValueError, match="do not fit"):
        gradient_penalty(lambda x: x.sum(dim=1), real, fake, mix)
