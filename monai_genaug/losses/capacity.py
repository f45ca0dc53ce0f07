# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Terms of the joint VAE (Dupont, arXiv 1804.00104)."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["gumbel_softmax_draw", "linear_capacity", "uniform_categorical_kl"]


def uniform_categorical_kl(logits: Tensor) -> Tensor:
    """KL(q(c|x) || uniform) of one categorical variable, section 3.2.

    Args:
        logits: ``(n, categories)``, unnormalised.

    Returns:
        ``(n,)`` in nats, at most log(categories).
    """
    log_q = functional.log_softmax(logits, dim=1)
    return (log_q.exp() * (log_q + math.log(logits.shape[1]))).sum(dim=1)


def gumbel_softmax_draw(logits: Tensor, uniform: Tensor, temperature: float) -> Tensor:
    """A draw from the Gumbel-softmax relaxation, section 3.3, eq. 6 (Jang et al., arXiv 1611.01144).

    Args:
        logits: ``(n, categories)``, unnormalised.
        uniform: numbers in (0, 1), the same shape.
        temperature: tau > 0; towards 0 draws become one-hot.

    Returns:
        ``(n, categories)``, rows add up to 1; differentiable in the logits.
    """
    gumbel = -torch.log(-torch.log(uniform))
    return functional.softmax((functional.log_softmax(logits, dim=1) + gumbel) / temperature, dim=1)


def linear_capacity(step: Tensor, steps: int, largest: float) -> Tensor:
    """C of eq. 7 after ``step`` of ``steps`` iterations: linear from 0 to ``largest`` nats, then constant."""
    return largest * (step.double() / steps).clamp(max=1.0)
