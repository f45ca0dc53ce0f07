# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""The network that gives the metric of the RHVAE its factors."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

__all__ = ["MetricFactor"]


class MetricFactor(nn.Module):
    """Pooled encoder features -> a bounded lower triangular matrix L(x); M = L L^T enters the metric.

    The diagonal lies in [1/bound, bound], the strict lower triangle in [-1/sqrt(d), 1/sqrt(d)]: no single item can
    inflate the metric without limit, which is how an unbounded factor diverges in 3D.

    Args:
        in_features: number of pooled features.
        latent_dim: d.
        hidden: width of the hidden layer.
        bound: largest diagonal entry.
    """

    def __init__(self, in_features: int, latent_dim: int, hidden: int = 64, bound: float = 3.0) -> None:
        super().__init__()
        self.latent_dim, self.log_bound = latent_dim, math.log(bound)
        rows, columns = torch.tril_indices(latent_dim, latent_dim, offset=-1)
        self.register_buffer("rows", rows, persistent=False)
        self.register_buffer("columns", columns, persistent=False)
        self.body = nn.Sequential(nn.Linear(in_features, hidden), nn.SiLU())
        self.to_diagonal = nn.Linear(hidden, latent_dim)
        self.to_lower = nn.Linear(hidden, len(rows))

    rows: Tensor
    columns: Tensor

    def forward(self, features: Tensor) -> Tensor:
        """``(n, in_features)`` -> ``(n, d, d)``."""
        hidden = self.body(features)
        diagonal = torch.exp(self.log_bound * torch.tanh(self.to_diagonal(hidden)))
        lower = torch.tanh(self.to_lower(hidden)) / math.sqrt(self.latent_dim)
        factor = torch.diag_embed(diagonal)
        return factor.index_put((torch.arange(len(factor))[:, None], self.rows, self.columns), lower)
