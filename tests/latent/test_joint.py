# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import copy
import pickle

import pytest
import torch
from scipy import stats

from monai_genaug.latent import GaussianMixtureLatent, JointLatent, NormalLatent, RiemannianLatent
from monai_genaug.latent.draws import standard_normal

SEEDS = [0, 1, 5, 5 + 2**32, 2**63 - 1, *range(100, 111)]
FREQUENCIES = torch.tensor([0.5, 0.1, 0.0, 0.4])


def codes(count: int = 60) -> torch.Tensor:
    """Continuous codes, then probabilities of four categories whose means are ``FREQUENCIES``."""
    categories = torch.tensor([0, 0, 0, 0, 0, 1, 3, 3, 3, 3]).repeat(count // 10)
    return torch.cat([standard_normal(range(count), 3).float(), torch.eye(4)[categories]], dim=1)


@pytest.fixture(scope="module")
def latent() -> JointLatent:
    made = JointLatent(GaussianMixtureLatent(3, n_components=2), 4)
    made.fit(codes())
    return made


def test_a_code_is_z_then_one_category(latent: JointLatent) -> None:
    whole = latent.sample(SEEDS)
    assert latent.latent_dim == 7
    assert whole.shape == (len(SEEDS), 7)
    assert whole.dtype == torch.float32
    assert torch.equal(whole[:, :3], latent.continuous.sample(SEEDS))
    assert set(whole[:, 3:].unique().tolist()) == {0.0, 1.0}
    assert (whole[:, 3:].sum(dim=1) == 1.0).all()


def test_categories_have_the_frequencies_of_the_training_codes(latent: JointLatent) -> None:
    torch.testing.assert_close(latent.frequencies, FREQUENCIES)
    counts = latent.sample(range(8000))[:, 3:].sum(dim=0)
    assert counts[2] == 0
    kept = [0, 1, 3]
    assert stats.chisquare(counts[kept].numpy(), 8000 * FREQUENCIES[kept].numpy()).pvalue > 0.01


def test_categories_are_uniform_before_the_fit_and_independent_of_z() -> None:
    drawn = JointLatent(NormalLatent(3), 5).sample(range(5000))
    category = drawn[:, 3:].argmax(dim=1)
    assert stats.chisquare(torch.bincount(category, minlength=5).numpy()).pvalue > 0.01
    groups = [drawn[category == k, 0].numpy() for k in range(5)]
    assert stats.f_oneway(*groups).pvalue > 0.01


def test_draws_do_not_depend_on_batch_or_order(latent: JointLatent) -> None:
    whole = latent.sample(SEEDS)
    assert torch.equal(torch.cat([latent.sample([seed]) for seed in SEEDS]), whole)
    assert torch.equal(latent.sample(SEEDS[::-1]).flip(0), whole)
    assert latent.sample([]).shape == (0, 7)


def test_truncation_shrinks_z_alone(latent: JointLatent) -> None:
    whole, near = latent.sample(SEEDS), latent.sample(SEEDS, truncation=0.3)
    assert torch.equal(near[:, :3], latent.continuous.sample(SEEDS, 0.3))
    assert torch.equal(near[:, 3:], whole[:, 3:])
    assert not JointLatent(RiemannianLatent(3, temperature=1.0), 2).supports_truncation


def test_a_neighbour_keeps_its_category(latent: JointLatent) -> None:
    assert torch.equal(latent.spread[3:], torch.zeros(4))
    assert torch.equal(latent.spread[:3], latent.continuous.spread)
    assert (latent.spread[:3] > 0).all()
    assert torch.equal(JointLatent(NormalLatent(2), 2).spread, torch.tensor([1.0, 1.0, 0.0, 0.0]))


def test_state_dict_restores_a_fresh_object(latent: JointLatent) -> None:
    fresh = JointLatent(GaussianMixtureLatent(3, n_components=2), 4)
    assert not fresh.is_fitted
    with pytest.raises(RuntimeError, match="has not been fitted"):
        fresh.sample([1])
    fresh.load_state_dict(latent.state_dict())
    for restored in (fresh, copy.deepcopy(latent), pickle.loads(pickle.dumps(latent))):
        assert torch.equal(restored.sample(SEEDS), latent.sample(SEEDS))
        assert torch.equal(restored.spread, latent.spread)


def test_probabilities_need_not_be_one_hot() -> None:
    latent = JointLatent(NormalLatent(1), 2)
    latent.fit(torch.tensor([[0.0, 0.5, 0.5], [1.0, 0.1, 0.9]]))
    torch.testing.assert_close(latent.frequencies, torch.tensor([0.3, 0.7]))


@pytest.mark.parametrize("wrong", [torch.zeros(5, 6), torch.full((5, 7), torch.nan), codes()[:1], codes() * 0.0])
def test_a_bad_fit_changes_nothing(wrong: torch.Tensor, latent: JointLatent) -> None:
    before = copy.deepcopy(latent.state_dict())
    with pytest.raises(ValueError, match="codes"):
        latent.fit(wrong)
    assert all(torch.equal(tensor, before[name]) for name, tensor in latent.state_dict().items())


def test_one_category_is_none() -> None:
    with pytest.raises(ValueError, match="n_categories is 1, allowed: 2 and more"):
        JointLatent(NormalLatent(2), 1)
