# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Holds the slope of a critic at 1."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

__all__ = ["gradient_penalty"]


def gradient_penalty(critic: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor, mix: Tensor) -> Tensor:
    """Mean of (||grad critic(x)|| - 1)^2 at points between real and fake images.

    Gulrajani et al., arXiv 1704.00028, eq. 3 without its weight. The slope is that of each sample's own score, so the
    critic must not mix the samples of a batch (no batch normalisation).

    Args:
        critic: images ``(n, ...)`` -> scores ``(n,)``; must be differentiable twice.
        real, fake: images of the same shape. No gradient flows into them.
        mix: share of the real image per sample ``(n,)``, uniform in [0, 1].

    Returns:
        A scalar, differentiable by the critic's parameters.

    Raises:
        ValueError: shapes that do not fit.
    """
    if real.shape != fake.shape or mix.shape != real.shape[:1]:
        raise ValueError(
            f"real {tuple(real.shape)}, fake {tuple(fake.shape)} and mix {tuple(mix.shape)} do not fit; needed: "
            "images of one shape and one share per sample."
        )
    share = mix.view(-1, *[1] * (real.ndim - 1))
    x = (share * real + (1.0 - share) * fake).detach().requires_grad_()
    with torch.enable_grad():
        # each score depends on its own sample alone, so the gradient of the sum holds the gradient of each
        (slope,) = torch.autograd.grad(critic(x).sum(), x, create_graph=True)
    penalty: Tensor = ((slope.flatten(1).norm(dim=1) - 1.0) ** 2).mean()
    return penalty
