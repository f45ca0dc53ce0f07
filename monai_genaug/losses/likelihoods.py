# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Log likelihoods and densities of the evidence lower bound, each summed over everything but the batch axis."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

__all__ = [
    "bernoulli_log_likelihood",
    "categorical_log_likelihood",
    "diagonal_gaussian_log_density",
    "gaussian_log_likelihood",
    "standard_normal_kl",
]

_LOG_TWO_PI = math.log(2.0 * math.pi)


def gaussian_log_likelihood(x: Tensor, mean: Tensor, log_variance: Tensor, observed: Tensor | None = None) -> Tensor:
    """Log N(x; mean, exp(log_variance)).

    Args:
        x, mean: images ``(n, c, *spatial)``.
        log_variance: of each channel, ``(c,)``.
        observed: ``(n, 1 or c, *spatial)``, 1 where ``x`` was measured and 0 where it was padded; padded elements
            are missing data and leave the likelihood. None: all are observed.

    Returns:
        ``(n,)`` in nats.
    """
    squared = (x - mean).square()
    if observed is None:
        count: Tensor | int = squared[0, 0].numel()
    else:
        squared, count = squared * observed, observed.flatten(2).sum(dim=2)
    distance = squared.flatten(2).sum(dim=2) * torch.exp(-log_variance)  # (n, c)
    return -0.5 * (distance + count * (log_variance + _LOG_TWO_PI)).sum(dim=1)


def bernoulli_log_likelihood(x: Tensor, mean: Tensor, observed: Tensor | None = None) -> Tensor:
    """Sum x log(mean) + (1 - x) log(1 - mean), for ``x`` and ``mean`` in [0, 1]; arguments as for the Gaussian."""
    mean = mean.clamp(1e-6, 1.0 - 1e-6)
    return _total(x * mean.log() + (1.0 - x) * (-mean).log1p(), observed)


def categorical_log_likelihood(one_hot: Tensor, logits: Tensor) -> Tensor:
    """Log probability of a label map.

    Args:
        one_hot: ``(n, classes, *spatial)``.
        logits: the same shape, unnormalised.

    Returns:
        ``(n,)`` in nats.
    """
    return (one_hot * functional.log_softmax(logits, dim=1)).flatten(1).sum(dim=1)


def diagonal_gaussian_log_density(z: Tensor, mean: Tensor, log_variance: Tensor) -> Tensor:
    """Log N(z; mean, diag exp(log_variance)) of codes ``(n, d)``, shape ``(n,)``."""
    return -0.5 * ((z - mean) ** 2 * torch.exp(-log_variance) + log_variance + _LOG_TWO_PI).sum(dim=1)


def standard_normal_kl(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL(N(mean, diag exp(log_variance)) || N(0, I)) of codes ``(n, d)``, shape ``(n,)``.

    Kingma and Welling, arXiv 1312.6114, appendix B.
    """
    return 0.5 * (mean**2 + log_variance.exp() - log_variance - 1.0).sum(dim=1)


def _total(values: Tensor, observed: Tensor | None) -> Tensor:
    return (values if observed is None else values * observed).flatten(1).sum(dim=1)
