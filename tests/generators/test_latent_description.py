# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from typing import Any

import pytest
import torch

from monai_genaug.generators.latent_description import describe_latent, latent_from_description
from monai_genaug.latent import (
    ClassWiseLatent,
    GaussianMixtureLatent,
    JointLatent,
    LatentDistribution,
    NormalLatent,
    TruncatedNormalLatent,
)
from monai_genaug.latent.draws import standard_normal
from tests.generators.test_contract import _fitted_rhvae
from tests.toy_families import family_network

CODES = standard_normal(range(60), 3).float()


def fitted(latent: LatentDistribution) -> LatentDistribution:
    latent.fit(CODES[:, : latent.latent_dim], classes=torch.arange(60) % 2)
    return latent


def joint() -> LatentDistribution:
    latent = JointLatent(GaussianMixtureLatent(3), 4)
    latent.fit(torch.cat([CODES, torch.eye(4)[torch.arange(60) % 3]], dim=1))
    return latent


KINDS: dict[str, Any] = {
    "normal": lambda: fitted(NormalLatent(3)),
    "truncated": lambda: TruncatedNormalLatent(3, bound=0.7),
    "mixture": lambda: fitted(GaussianMixtureLatent(3, 4)),
    "class_wise": lambda: fitted(ClassWiseLatent(2, GaussianMixtureLatent(3))),
    "joint": joint,
    "riemannian": lambda: _fitted_rhvae().latent,
}


@pytest.mark.parametrize("kind", KINDS)
def test_codes_come_back_bit_by_bit(kind: str) -> None:
    latent = KINDS[kind]()
    description = json.loads(json.dumps(describe_latent(latent)))
    again = latent_from_description(description)
    assert type(again) is type(latent)
    seeds, classes = [0, 7, 2**63 - 1], [0, 1, 1]
    assert torch.equal(again.sample(seeds, classes=classes), latent.sample(seeds, classes=classes))
    assert torch.equal(again.spread, latent.spread)


def test_distributions_of_others_are_refused() -> None:
    class Own(NormalLatent):
        pass

    with pytest.raises(ValueError, match=r"latent is a Own, which cannot be written; allowed: .*'NormalLatent'"):
        describe_latent(Own(2))
    with pytest.raises(ValueError, match="which cannot be written"):
        describe_latent(family_network("per_class_vae").latent)
