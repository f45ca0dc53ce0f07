# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Which real sample is most like a synthetic one?"""

from __future__ import annotations

import torch
from torch import Tensor

from monai_genaug.metrics.blocks import distance_tiles, mean_row
from monai_genaug.metrics.checks import check_feature_table

__all__ = ["nearest_real_rows"]


@torch.no_grad()
def nearest_real_rows(real: Tensor, synthetic: Tensor) -> tuple[Tensor, Tensor]:
    """The nearest real sample of every synthetic one, by Euclidean distance, in blocks of bounded memory.

    Args:
        real, synthetic: features, or flattened images, ``(n, d)`` and ``(m, d)``.

    Returns:
        Row numbers of real samples ``(m,)``, int64 (of equally near ones the first), and distances ``(m,)``, float64.

    Raises:
        ValueError: no rows, values that are not finite, different feature sizes or devices.
    """
    for name, features in (("real", real), ("synthetic", synthetic)):
        check_feature_table(features, name, at_least=1)
    if real.shape[1] != synthetic.shape[1] or real.device != synthetic.device:
        raise ValueError(
            f"real features are {tuple(real.shape)} on {real.device}, synthetic ones {tuple(synthetic.shape)} on "
            f"{synthetic.device}: sizes and devices must agree."
        )
    squared = torch.full((len(synthetic),), torch.inf, dtype=torch.float64, device=real.device)
    nearest = torch.zeros(len(synthetic), dtype=torch.int64, device=real.device)
    for rows, cols, tile in distance_tiles(real, synthetic, mean_row(real)):
        least, places = tile.min(dim=0)
        nearer = least < squared[cols]
        squared[cols] = torch.where(nearer, least, squared[cols])
        nearest[cols] = torch.where(nearer, places + rows.start, nearest[cols])
    return nearest, squared.sqrt()
