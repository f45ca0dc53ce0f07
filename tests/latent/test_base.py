# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""What all distributions promise."""

from __future__ import annotations

import copy
import pickle
import random

import numpy as np
import pytest
import torch

from monai_genaug.latent import (
    GaussianMixtureLatent,
    LatentDistribution,
    NormalLatent,
    RiemannianLatent,
    TruncatedNormalLatent,
)
from monai_genaug.latent.draws import standard_normal

NAMES = ["normal", "truncated", "mixture", "riemannian"]


def build(name: str) -> LatentDistribution:
    """A fresh distribution with d = 3, without any fit."""
    if name == "normal":
        return NormalLatent(3)
    if name == "truncated":
        return TruncatedNormalLatent(3, bound=1.5)
    return GaussianMixtureLatent(3, n_components=4) if name == "mixture" else RiemannianLatent(3, temperature=1.0)


def fitted(name: str) -> LatentDistribution:
    latent, codes = build(name), standard_normal(range(60), 3).float()
    if isinstance(latent, RiemannianLatent):
        latent.fit(codes, 0.5 * torch.eye(3).expand(60, 3, 3) + 0.1 * codes[:, :, None].tril())
    elif isinstance(latent, NormalLatent | GaussianMixtureLatent):
        latent.fit(codes)
    return latent


@pytest.fixture(scope="module")
def latents() -> dict[str, LatentDistribution]:
    return {name: fitted(name) for name in NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_samples_do_not_depend_on_batch_or_order(name: str, latents: dict[str, LatentDistribution]) -> None:
    latent, seeds = latents[name], [*range(31), 2**63 - 1]
    whole = latent.sample(seeds)
    assert whole.shape == (32, 3)
    assert whole.dtype == torch.float32
    assert not whole.requires_grad
    for size in (1, 7):
        parts = torch.cat([latent.sample(seeds[i : i + size]) for i in range(0, 32, size)])
        torch.testing.assert_close(parts, whole, rtol=0, atol=1e-6)
    torch.testing.assert_close(latent.sample(seeds[::-1]).flip(0), whole, rtol=0, atol=1e-6)
    assert len(whole.unique(dim=0)) == 32
    assert latent.sample([]).shape == (0, 3)


@pytest.mark.parametrize("name", NAMES)
def test_global_generators_are_neither_read_nor_moved(name: str) -> None:
    results = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        np.random.seed(seed)
        random.seed(seed)
        before = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()  # type: ignore[index]
        results.append(fitted(name).sample(range(4)))
        assert torch.equal(torch.get_rng_state(), before[0])
        assert np.array_equal(np.random.get_state()[1], before[1])  # type: ignore[index]
        assert random.getstate() == before[2]
    assert torch.equal(*results)


@pytest.mark.parametrize("name", NAMES)
def test_state_dict_restores_a_fresh_object(name: str, latents: dict[str, LatentDistribution]) -> None:
    latent, fresh = latents[name], torch.nn.ModuleDict({"latent": build(name)})
    fresh.load_state_dict(torch.nn.ModuleDict({"latent": latent}).state_dict(), strict=True)
    restored = fresh["latent"]
    assert torch.equal(restored.sample(range(8)), latent.sample(range(8)))
    assert torch.equal(restored.spread, latent.spread)
    for copied in (copy.deepcopy(latent), pickle.loads(pickle.dumps(latent))):
        assert torch.equal(copied.sample([3]), latent.sample([3]))


@pytest.mark.parametrize("name", ["mixture", "riemannian"])
def test_state_of_another_dimension_is_refused(name: str, latents: dict[str, LatentDistribution]) -> None:
    other = GaussianMixtureLatent(4) if name == "mixture" else RiemannianLatent(4)
    with pytest.raises(RuntimeError, match="size mismatch"):
        other.load_state_dict(latents[name].state_dict())


@pytest.mark.parametrize("name", ["mixture", "riemannian"])
def test_not_fitted(name: str) -> None:
    with pytest.raises(RuntimeError, match="has not been fitted"):
        build(name).sample([1])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("truncation", [0.0, -0.5, 1.01, float("nan")])
def test_bad_truncation(name: str, truncation: float, latents: dict[str, LatentDistribution]) -> None:
    with pytest.raises(ValueError, match=rf"{type(latents[name]).__name__}.*got {truncation}"):
        latents[name].sample([1], truncation=truncation)


def test_manifold_sampling_has_no_truncation(latents: dict[str, LatentDistribution]) -> None:
    assert not latents["riemannian"].supports_truncation
    with pytest.raises(ValueError, match=r"RiemannianLatent has no truncation: it must be 1, got 0\.5"):
        latents["riemannian"].sample([1], truncation=0.5)


@pytest.mark.parametrize("name", ["normal", "truncated", "mixture"])
def test_truncation_draws_samples_together(name: str, latents: dict[str, LatentDistribution]) -> None:
    latent, seeds = latents[name], range(200)
    variance = [latent.sample(seeds, truncation).var(dim=0).mean() for truncation in (0.1, 0.5, 1.0)]
    assert variance[0] < variance[1] < variance[2]


@pytest.mark.parametrize("name", NAMES)
def test_spread_is_one_positive_number_per_axis(name: str, latents: dict[str, LatentDistribution]) -> None:
    assert latents[name].spread.shape == (3,)
    assert (latents[name].spread > 0).all()


def test_latent_dim_must_be_positive() -> None:
    with pytest.raises(ValueError, match="latent_dim must be >= 1, got 0"):
        NormalLatent(0)
