# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Training items from where the data are dense, and those from where they are not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor

from monai_genaug.metrics.balls import squared_radii
from monai_genaug.metrics.checks import check_feature_table, check_neighbours
from monai_genaug.metrics.per_class import metric_per_class

__all__ = ["InstanceSelection", "select_instances"]

SelectionMethod = Literal["gaussian", "knn"]


@dataclass(frozen=True, eq=False)
class InstanceSelection:
    """Which items to train a generator on.

    Args:
        kept: indices of the items in dense regions, rising, int64.
        scores: ``(n,)``, float64, the higher the denser; those of different classes cannot be compared.
        ranks: ``(n,)``, float64, in (0, 1]: the share of the items of the class that are not denser.
    """

    kept: Tensor
    scores: Tensor
    ranks: Tensor

    def outliers(self, count: int) -> list[int]:
        """Indices of the items with the lowest ranks, lowest first; look at them before leaving them out.

        Raises:
            ValueError: a negative count.
        """
        if count < 0:
            raise ValueError(f"count is {count}, allowed: 0 and more.")
        chosen: list[int] = self.ranks.argsort(stable=True)[:count].tolist()
        return chosen


@torch.no_grad()
def select_instances(
    features: Tensor,
    keep: float = 0.5,
    labels: Tensor | Sequence[int] | Sequence[str] | None = None,
    method: SelectionMethod = "gaussian",
    k: int = 5,
) -> InstanceSelection:
    """Instance selection (DeVries et al., arXiv 2007.15255, section 3): leaves out items from sparse regions.

    A generator that is trained on the rest makes better samples of fewer kinds: it gives up what is rare, which may be
    what augmentation is for. With labels, each class is scored and thinned out on its own, as in the authors' code.

    ``"gaussian"``, the paper's choice, is the log-likelihood under a normal distribution fitted to the features::

        H(z) = -1/2 [ln |S| + (z - m)' S^-1 (z - m) + d ln 2 pi]                                    (eq. 1)

    where S is the covariance as shrunk by Ledoit and Wolf (2004): near the sample covariance for many items, and
    regular for fewer items than features. ``"knn"`` is the negative distance to the k-th nearest other item.

    Args:
        features: ``(n, d)`` of a network that knows such images.
        keep: share of the items to keep, in (0, 1]; 0.5 and less in the paper. At least one item per class is kept.
        labels: a class id or name per item; None for one distribution of all items.
        method: see above.
        k: neighbours of ``"knn"``, fewer than a class has items.

    Returns:
        The items to keep, and the scores of all.

    Raises:
        ValueError: an argument that is not allowed, features that :func:`check_feature_table` refuses, or a class that
            is too small or whose items all have the same features.
    """
    if not 0 < keep <= 1:
        raise ValueError(f"keep is {keep}, allowed: (0, 1].")
    if method not in get_args(SelectionMethod):
        raise ValueError(f"method is {method!r}, allowed: {get_args(SelectionMethod)}.")
    check_feature_table(features, "the given", at_least=2)
    numbers = torch.arange(len(features), device=features.device)[:, None]
    rows: dict[int | str, Tensor] = {0: numbers[:, 0]}
    if labels is None:
        found: dict[int | str, Tensor] = {0: _scores(features, method, k)}
    else:
        rows = metric_per_class(lambda of_class: of_class[:, 0], (numbers, labels))
        found = metric_per_class(lambda of_class: _scores(of_class, method, k), (features, labels))
    scores = torch.empty(len(features), dtype=torch.float64)
    ranks = torch.empty_like(scores)
    kept = []
    for name, of_class in rows.items():
        indices, values = of_class.cpu(), found[name]
        count = len(indices)
        scores[indices] = values
        ranks[indices] = torch.searchsorted(values.sort().values, values, right=True).double() / count
        densest = values.argsort(descending=True, stable=True)[: max(1, round(keep * count))]
        kept.append(indices[densest])
    return InstanceSelection(torch.cat(kept).sort().values, scores, ranks)


def _scores(features: Tensor, method: SelectionMethod, k: int) -> Tensor:
    from scipy.stats import multivariate_normal
    from sklearn.covariance import LedoitWolf

    if bool((features == features[0]).all()):
        raise ValueError(f"all {len(features)} items have the same features.")
    if method == "knn":
        check_neighbours(k, given=features)
        return -squared_radii(features, k).sqrt().cpu()
    values = features.double().cpu().numpy()
    model = LedoitWolf().fit(values)
    density = multivariate_normal(model.location_, model.covariance_, allow_singular=True)
    return torch.from_numpy(np.atleast_1d(density.logpdf(values)))
