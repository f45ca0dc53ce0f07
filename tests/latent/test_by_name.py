# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from monai_genaug.latent import (
    LATENT_NAMES,
    ClassWiseLatent,
    GaussianMixtureLatent,
    NormalLatent,
    TruncatedNormalLatent,
    latent_by_name,
)


@pytest.mark.parametrize("n_classes", [0, 3])
def test_every_name_gives_a_distribution_of_the_dimension(n_classes: int) -> None:
    kinds = [NormalLatent, TruncatedNormalLatent, GaussianMixtureLatent]
    for name, kind in zip(LATENT_NAMES, kinds, strict=True):
        latent = latent_by_name(name, 5, n_classes)
        assert latent.latent_dim == 5
        if kind is GaussianMixtureLatent and n_classes:
            assert isinstance(latent, ClassWiseLatent)
            assert [type(member) for member in latent.members] == [kind] * n_classes
        else:
            assert type(latent) is kind


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"'riemannian', allowed: \('normal', 'truncated_normal', 'gaussian_mixture'"):
        latent_by_name("riemannian", 2)
