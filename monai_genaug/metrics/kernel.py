# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Kernel distance (KID) between two sets of features."""

from __future__ import annotations

import torch
from torch import Tensor

from monai_genaug.generators.seeding import derive_seed
from monai_genaug.latent.draws import standard_normal, uniform
from monai_genaug.metrics.blocks import product_tiles, row_blocks
from monai_genaug.metrics.checks import check_features
from monai_genaug.metrics.feature_metric import FeatureMetric

__all__ = ["KernelDistanceMetric", "kernel_distance"]


@torch.no_grad()
def kernel_distance(
    real: Tensor, synthetic: Tensor, subset_size: int = 1000, n_subsets: int = 100, seed: int = 0
) -> tuple[float, float]:
    """Squared maximum mean discrepancy of a cubic kernel, "KID" (Binkowski et al., arXiv 1801.01401).

    The unbiased estimate (Gretton et al., JMLR 13, 2012, eq. 3) with k(x, y) = (x . y / d + 1)^3: mean k of different
    real samples, plus that of different synthetic ones, minus twice that of the pairs across. It compares the first
    three moments, quality and diversity in one number. Its expectation does not depend on the numbers of samples,
    unlike that of :func:`frechet_distance`; its value depends on the scale of the features.

    The estimate is the mean over random subsets of both sets. They are a function of ``seed`` and of the features, not
    of the order that these come in. A set of ``subset_size`` and fewer samples takes part as a whole.

    Args:
        real, synthetic: ``(n, d)`` and ``(m, d)``, at least two rows each.
        subset_size: samples per subset, at least 2.
        n_subsets: at least 1.
        seed: of the subsets, in [0, 2^63).

    Returns:
        The distance, which may be slightly negative for equal distributions, and its standard deviation over subsets.
        Subsets overlap, so that the deviation is no standard error; it is 0 if both sets take part as a whole.

    Raises:
        ValueError: a size, number or seed out of range, fewer than two rows, or features that :func:`check_features`
            refuses.
    """
    _check_subsets(subset_size, n_subsets, seed)
    check_features(real, synthetic, at_least=2)
    if max(len(real), len(synthetic)) <= subset_size:
        n_subsets = 1
    x_rows = _subsets(real, subset_size, n_subsets, seed, stream=0)
    y_rows = _subsets(synthetic, subset_size, n_subsets, seed, stream=1)
    if x_rows.numel() * y_rows.shape[1] < len(real) * len(synthetic):  # fewer pairs than the whole sets have
        parts = [_estimates(real[i], synthetic[j], None, None) for i, j in zip(x_rows, y_rows, strict=True)]
        estimates = torch.cat(parts)
    else:
        estimates = _estimates(real, synthetic, _members(x_rows, len(real)), _members(y_rows, len(synthetic)))
    return float(estimates.mean()), float(estimates.std(correction=0))


class KernelDistanceMetric(FeatureMetric):
    """:func:`kernel_distance` of features that come in batches, see :class:`FeatureMetric`.

    Args:
        subset_size, n_subsets, seed: of the subsets.
    """

    def __init__(self, subset_size: int = 1000, n_subsets: int = 100, seed: int = 0) -> None:
        super().__init__()
        _check_subsets(subset_size, n_subsets, seed)
        self.subset_size, self.n_subsets, self.seed = subset_size, n_subsets, seed

    def aggregate(self) -> tuple[float, float]:
        """The distance and its standard deviation over subsets."""
        return kernel_distance(*self.gathered(), self.subset_size, self.n_subsets, self.seed)


def _check_subsets(subset_size: int, n_subsets: int, seed: int) -> None:
    if subset_size < 2:
        raise ValueError(f"subset_size is {subset_size}, allowed: 2 and more.")
    if n_subsets < 1:
        raise ValueError(f"n_subsets is {n_subsets}, allowed: 1 and more.")
    if not 0 <= seed < 2**63:
        raise ValueError(f"seed is {seed}, allowed: 0 to 2^63 - 1.")


def _subsets(features: Tensor, size: int, count: int, seed: int, stream: int) -> Tensor:
    """Row numbers of random subsets, ``(count, min(size, n))``."""
    n, d = features.shape
    if n <= size:
        return torch.arange(n, device=features.device).repeat(count, 1)
    seeds = [derive_seed("kernel distance", seed, i) for i in range(count)]
    places = torch.stack([uniform([one], n, stream)[0].argsort()[:size] for one in seeds])
    # the rows in an order of their own: by their shadows on a random line
    line = standard_normal([derive_seed("kernel distance", seed)], d)[0].to(features.device)
    shadows = torch.cat([(block * line).sum(dim=1) for _, block in row_blocks(features)])
    return shadows.argsort(stable=True)[places.to(features.device)]


def _members(rows: Tensor, n: int) -> Tensor:
    """1 where a row of ``n`` belongs to a subset, else 0: ``(n, subsets)``."""
    members = torch.zeros(n, len(rows), dtype=torch.float64, device=rows.device)
    return members.scatter_(0, rows.T, 1.0)


def _estimates(x: Tensor, y: Tensor, x_members: Tensor | None, y_members: Tensor | None) -> Tensor:
    """Unbiased estimates of all subsets at once, ``(subsets,)``; None: one subset of everything."""
    a = _members(torch.arange(len(x), device=x.device)[None], len(x)) if x_members is None else x_members
    b = _members(torch.arange(len(y), device=y.device)[None], len(y)) if y_members is None else y_members
    n, m = a.sum(dim=0), b.sum(dim=0)
    within = _within(x, a) / (n * (n - 1)) + _within(y, b) / (m * (m - 1))
    across = sum((a[rows] * (_cubic(tile, x) @ b[cols])).sum(dim=0) for rows, cols, tile in product_tiles(x, y))
    return within - 2.0 * across / (n * m)


def _within(x: Tensor, members: Tensor) -> Tensor:
    """Sum of the kernel over all pairs of different members of each subset."""
    total = torch.zeros_like(members[0])
    for rows, cols, tile in product_tiles(x):
        values = _cubic(tile, x)
        if rows == cols:
            values.fill_diagonal_(0.0)
        total += (members[rows] * (values @ members[cols])).sum(dim=0) * (1.0 if rows == cols else 2.0)
    return total


def _cubic(products: Tensor, features: Tensor) -> Tensor:
    return products.div_(features.shape[1]).add_(1.0).pow_(3)
