# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""The data-copying test of Meehan, Chaudhuri and Dasgupta."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from monai_genaug.quality.nearest import nearest_items

__all__ = ["data_copying_score"]


def data_copying_score(samples: Tensor, train: Tensor, held_out: Tensor, n_cells: int = 5, seed: int = 0) -> float:
    """C_T of Meehan et al., arXiv 2004.05675, eq. 4: are samples nearer to the training set than real items are?

    Space is divided into the cells of a k-means clustering of the training items. In each cell that holds samples and
    held-out items, the distances of both to the nearest training item are compared by the Mann-Whitney statistic U as
    a score Z_U = (U - mean) / sd; C_T is the mean of Z_U, weighted by the held-out items of the cells. Below about -3
    means copies, above 3 underfitting. Smooth images, too, are near to training items: a low value alone is no proof.

    Args:
        samples, train, held_out: features ``(n, d)``, ``(m, d)`` and ``(l, d)``.
        n_cells: of the clustering; fewer if there are fewer training items.
        seed: of the clustering.

    Returns:
        C_T, in standard deviations; 0 if no cell holds both.
    """
    from scipy.stats import rankdata
    from sklearn.cluster import KMeans

    clustering = KMeans(min(n_cells, len(train)), n_init=3, random_state=seed).fit(train.double().cpu().numpy())
    cells = [torch.from_numpy(clustering.predict(part.double().cpu().numpy())) for part in (samples, held_out)]
    to_train = [nearest_items(part, train).distances[:, 0].cpu() for part in (samples, held_out)]
    total, weight = 0.0, 0
    for cell in range(clustering.n_clusters):
        made, real = (distance[own == cell] for distance, own in zip(to_train, cells, strict=True))
        n, m = len(made), len(real)
        if n == 0 or m == 0:
            continue
        ranks = rankdata(torch.cat([made, real]).numpy())
        u = float(ranks[:n].sum()) - n * (n + 1) / 2  # pairs in which the sample is farther from training
        total += m * (u - n * m / 2) / math.sqrt(n * m * (n + m + 1) / 12)
        weight += m
    return total / weight if weight else 0.0
