# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Two sets of features, the same on every machine, and what the original implementations make of them."""

from __future__ import annotations

from torch import Tensor

from monai_genaug.latent.draws import standard_normal


def feature_sets(n: int = 90, m: int = 70, d: int = 12) -> tuple[Tensor, Tensor]:
    """Real ``(n, d)`` and synthetic ``(m, d)``, float32; of the synthetic ones, some lie outside the real ones."""
    return standard_normal(range(n), d).float(), (0.8 * standard_normal(range(1000, 1000 + m), d) + 0.3).float()


WIDE = (60, 60, 100)
"""Shape of sets with fewer samples than features."""
