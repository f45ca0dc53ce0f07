# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
import torch

from monai_genaug.metrics.features.network import FeatureNetwork


@pytest.mark.parametrize(("axes", "channels"), [(2, 3), (3, 1)])
def test_shapes_and_standardisation(axes: int, channels: int) -> None:
    network = FeatureNetwork(axes, (4, 6)).eval()
    x = torch.rand(5, channels, *[9] * axes)
    pooled = network.pooled(x)
    assert pooled.shape == (5, 6) == (5, network.n_features)
    network.centre.fill_(2.0)
    network.spread.fill_(0.5)
    torch.testing.assert_close(network(x), 2.0 * (pooled - 2.0))


def test_other_dimensions_are_refused() -> None:
    with pytest.raises(ValueError, match="spatial_dims is 1, allowed: 2, 3"):
        FeatureNetwork(1)
