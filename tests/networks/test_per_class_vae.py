# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import copy
import functools
import pickle
from typing import Any

import pytest
import torch
from torch import Tensor

from monai_genaug.latent import GaussianMixtureLatent
from monai_genaug.networks import VAE, PerClassVAE
from tests.toy_families import pictures

MEMBERS: dict[str, dict[str, Any]] = {
    "VAE": {"latent_dim": 3, "channels": (4, 4), "stack": "batch_norm"},
    "RHVAE": {"latent_dim": 2, "channels": (4, 4), "n_leapfrog": 1, "temperature": 1.0},
    "JointVAE": {"continuous_dim": 2, "n_categories": 3, "channels": (4, 4)},
}
every_kind = pytest.mark.parametrize("kind", MEMBERS)
ORDER = torch.tensor([2, 0, 2, 2, 0, 2, 0])  # class 1 is missing


def seeded(kind: str = "VAE", seed: int = 0, **changes: Any) -> PerClassVAE:
    arguments = {"spatial_dims": 2, "spatial_shape": (8, 8), **MEMBERS[kind], **changes}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = PerClassVAE(3, kind, **arguments)
    with torch.no_grad():
        for member in network.members:
            member.to_posterior.weight.mul_(5.0)  # codes that lie apart
    return network


def fixed(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def joined(network: PerClassVAE, classes: Tensor = ORDER) -> Tensor:
    return network.join(pictures(len(classes)), None, classes)


def states_equal(one: Any, other: Any) -> bool:
    first, second = one.state_dict(), other.state_dict()
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


@every_kind
def test_it_gives_what_its_members_give_in_the_given_order(kind: str) -> None:
    network = seeded(kind).eval()
    x, z = joined(network), torch.randn(7, network.latent_dim, generator=fixed())
    noise = torch.randn(7, network.noise_dim, generator=fixed(1))
    code = network.with_class(z, ORDER)
    results = (network(code), network.decoded_mean(code), network.encode(x), network.encode(x, noise))
    for k in (0, 2):
        rows, member = k == ORDER, network.members[k]
        assert isinstance(member, VAE)
        own = x[rows, :1]
        expected = (member(z[rows]), member.decoded_mean(z[rows]), member.encode(own), member.encode(own, noise[rows]))
        for result, part in zip(results, expected, strict=True):
            torch.testing.assert_close(result[rows], part)


def test_members_are_different_networks_and_codes_may_be_mixed() -> None:
    network = seeded().eval()
    z = torch.zeros(3, 3)
    images = network(network.with_class(z, torch.arange(3)))
    assert (images[0] - images[1]).abs().max() > 1e-4
    weights = torch.tensor([[0.2, 0.5, 0.3], [0.9, -3.0, 0.0], [0.1, 0.2, 7.0]])
    torch.testing.assert_close(network(torch.cat([z, weights], dim=1)), images[[1, 0, 2]])


@every_kind
def test_elbo_is_the_mean_over_items(kind: str) -> None:
    network = seeded(kind).eval()
    x = joined(network)
    terms = network.elbo(x, generator=fixed(5))
    noise = fixed(5)
    parts = [
        (float((k == ORDER).float().mean()), network.members[k].elbo(x[k == ORDER, :1], None, noise)) for k in (0, 2)
    ]  # type: ignore[operator]
    for name, value in terms.items():
        torch.testing.assert_close(value, sum(share * part[name] for share, part in parts))
    assert {"loss", "image", "mask", "kl"} <= set(terms)


@every_kind
def test_a_missing_class_gets_no_gradient(kind: str) -> None:
    network = seeded(kind)
    network.elbo(joined(network), generator=fixed())["loss"].backward()
    has_gradient = [
        any(p.grad is not None and bool(p.grad.any()) for p in member.parameters()) for member in network.members
    ]
    assert has_gradient == [True, False, True]


def test_observed_reaches_each_member() -> None:
    network = seeded().eval()
    observed = (ORDER == 2).float().view(-1, 1, 1, 1).expand(-1, 1, 8, 8)
    image = float(network.elbo(joined(network), observed, fixed())["image"].detach())
    alone = joined(network)[ORDER == 2]
    expected = float(network.elbo(alone, generator=fixed(1))["image"].detach())
    assert image == pytest.approx(expected * 4 / 7, rel=0.2)
    assert float(network.elbo(joined(network), 0.0 * observed, fixed())["image"].detach()) == 0.0


def test_a_single_item_of_a_class_trains_on_running_statistics() -> None:
    network = seeded(spatial_shape=(4, 4), channels=(4, 4))  # one pixel is left at the bottom
    x = network.join(pictures(3, (4, 4)), None, torch.tensor([0, 0, 1]))
    before = [copy.deepcopy(member) for member in network.members]
    terms = network.elbo(x, generator=fixed())
    terms["loss"].backward()
    assert all(bool(torch.isfinite(value)) for value in terms.values())
    assert all(module.training for module in network.modules())
    moved = [
        not all(torch.equal(a, b) for a, b in zip(now.buffers(), then.buffers(), strict=True))
        for now, then in zip(network.members, before, strict=True)
    ]
    assert moved == [True, False, False]
    assert network.members[1].to_posterior.weight.grad.abs().max() > 0  # type: ignore[union-attr,operator]


def test_state_holds_each_latent_once() -> None:
    network = seeded("JointVAE")
    names = list(network.state_dict())
    assert [name for name in names if name.startswith("latent.")] == ["latent.spread"]
    for k in range(3):
        assert names.count(f"members.{k}.latent.frequencies") == 1
    assert len({id(parameter) for parameter in network.parameters()}) == len(list(network.parameters()))


def batches(count: int, seed: int) -> list[Tensor]:
    """Items of three classes in batches, some of which hold all of them."""
    x = seeded().join(torch.rand(count, 1, 8, 8, generator=fixed(seed)), None, torch.arange(count) % 3)
    return list(x.split([1, 7, count - 8]))


@functools.cache
def fitted(kind: str = "VAE") -> PerClassVAE:
    network = seeded(kind).eval()
    network.fit_generation(batches(36, 0), batches(15, 1))
    return network


@every_kind
def test_each_member_is_fitted_to_its_class_alone(kind: str) -> None:
    network = fitted(kind)
    for k in range(3) if kind != "RHVAE" else [1]:  # tuning its chains takes a second
        alone = seeded(kind).eval().members[k]
        own, held_out = (
            [batch[batch[:, 1 + k, 0, 0] == 1.0, :1] for batch in part] for part in (batches(36, 0), batches(15, 1))
        )
        assert isinstance(alone, VAE)
        alone.fit_generation([part for part in own if len(part)], [part for part in held_out if len(part)])
        assert states_equal(alone, network.members[k])
    members = [member.latent for member in network.members]
    torch.testing.assert_close(network.latent.spread, torch.stack([one.spread for one in members]).mean(dim=0))  # type: ignore[union-attr]


@every_kind
def test_draws_are_those_of_the_members(kind: str) -> None:
    network = fitted(kind)
    classes, seeds = [2, 0, 2, 1], [7, 8, 9, 2**62]
    z = network.draw_latent(seeds, classes)
    for row, (seed, k) in enumerate(zip(seeds, classes, strict=True)):
        expected = network.members[k].latent.sample([seed])[0]  # type: ignore[union-attr,operator]
        torch.testing.assert_close(z[row], expected, rtol=0, atol=1e-6)
    assert network.supports_truncation == (kind != "RHVAE")
    with pytest.raises(ValueError, match="from 0 to 2"):
        network.draw_latent([1], [3])


@every_kind
def test_copies_and_states_are_whole_and_apart(kind: str) -> None:
    network = fitted(kind)
    fresh = seeded(kind, seed=1).eval()
    fresh.load_state_dict(network.state_dict())
    classes = [0, 1, 2]
    for again in (fresh, copy.deepcopy(network), pickle.loads(pickle.dumps(network))):
        z = again.draw_latent([1, 2, 3], classes)
        assert torch.equal(z, network.draw_latent([1, 2, 3], classes))
        code = network.with_class(z, torch.tensor(classes))
        assert torch.equal(again(code), network(code))
        for mine, own in zip(again.latent.members, again.members, strict=True):
            assert mine is own.latent
        with torch.no_grad():
            again.members[0].latent.spread.fill_(7.0)
        assert not (network.members[0].latent.spread == 7.0).all()  # type: ignore[union-attr]


def test_members_share_no_latent_that_was_given() -> None:
    network = seeded(latent=GaussianMixtureLatent(3, n_components=2)).eval()
    network.fit_generation(batches(36, 0), [])
    latents: list[Any] = [member.latent for member in network.members]
    assert len({id(latent) for latent in latents}) == 3
    assert not torch.equal(latents[0].means, latents[1].means)


def test_mixtures_by_name_are_fitted_with_the_network() -> None:
    network = seeded(latent="gaussian_mixture").eval()
    assert not network.latent.is_fitted
    network.fit_generation(batches(36, 0), [])
    assert network.latent.is_fitted


def test_a_class_without_items_cannot_be_fitted() -> None:
    network = seeded().eval()
    before = copy.deepcopy(network)
    with pytest.raises(ValueError, match=r"the classes have \[3, 0, 4\] training items, needed: 2 and more"):
        network.fit_generation([joined(network)], [])
    assert states_equal(network, before)
    with pytest.raises(NotImplementedError, match="the members fit"):
        network.latent.fit(torch.zeros(4, 3))


def test_masks_and_volumes() -> None:
    network = PerClassVAE(
        2, "VAE", spatial_dims=3, spatial_shape=(8, 8, 8), mask_classes=2, latent_dim=2, channels=(4, 4)
    )
    x = network.join(torch.rand(3, 1, 8, 8, 8), torch.ones(3, 1, 8, 8, 8), torch.tensor([1, 0, 1]))
    assert x.shape == (3, 5, 8, 8, 8)
    assert network(network.code_of(x)).shape == (3, 3, 8, 8, 8)
    assert network.elbo(x)["mask"] > 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((1, "VAE"), "n_classes is 1, allowed: 2 and more"),
        ((2, "GAN"), r"kind is 'GAN', allowed: \('VAE', 'RHVAE', 'JointVAE'\)"),
    ],
)
def test_bad_arguments(arguments: tuple[int, str], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        PerClassVAE(*arguments, spatial_dims=2, spatial_shape=(8, 8))
    with pytest.raises(ValueError, match=r"\(n, 6\)"):
        seeded()(torch.zeros(2, 5))
