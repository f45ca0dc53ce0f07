# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from monai_genaug.metrics import density_and_coverage, precision_and_recall
from monai_genaug.metrics.neighbourhoods import neighbourhood_values
from tests.metrics.feature_sets import WIDE, feature_sets


@pytest.mark.parametrize(("k", "k_density"), [(3, 5), (5, 3), (4, 4)])
@pytest.mark.parametrize("shape", [(90, 70, 12), (1100, 530, 5)])
def test_equals_the_single_functions(shape: tuple[int, int, int], k: int, k_density: int) -> None:
    real, fake = feature_sets(*shape)
    expected = (*precision_and_recall(real, fake, k), *density_and_coverage(real, fake, k_density))
    assert neighbourhood_values(real, fake, k, k_density) == expected


def test_values_of_prdc() -> None:
    """``prdc`` 0.2, ``compute_prdc(real, synthetic, nearest_k=4)`` in float64."""
    expected = 0.9142857142857143, 0.5777777777777777, 1.5892857142857142, 0.9444444444444444
    assert neighbourhood_values(*feature_sets(), 4, 4) == pytest.approx(expected)
    assert neighbourhood_values(*feature_sets(*WIDE), 4, 4) == pytest.approx((1.0, 0.0, 5.591666666666667, 1.0))


def test_what_is_refused() -> None:
    real, fake = feature_sets(9, 4, 2)
    with pytest.raises(ValueError, match="4 synthetic samples are too few for k=4"):
        neighbourhood_values(real, fake, k=4)
    with pytest.raises(ValueError, match="9 real samples are too few for k=9"):
        neighbourhood_values(real, fake, k_density=9)
    with pytest.raises(ValueError, match="k is 0"):
        neighbourhood_values(real, fake, k_density=0)
    with pytest.raises(ValueError, match="feature sizes differ"):
        neighbourhood_values(real, fake[:, :1])
    with pytest.raises(ValueError, match="synthetic features contain NaN"):
        neighbourhood_values(real, fake * float("nan"))
    with pytest.raises(ValueError, match="real features are constant"):
        neighbourhood_values(real[:1].repeat(9, 1), fake)
