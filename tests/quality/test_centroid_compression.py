# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
import torch
from torch import Tensor

from monai_genaug.latent import RiemannianLatent
from monai_genaug.latent.draws import standard_normal
from monai_genaug.networks import VAE, PerClassVAE
from monai_genaug.quality.centroid_compression import compress_centroids, compress_network, has_manifolds

D = 3


def fitted(codes: Tensor, temperature: float = 1.5) -> RiemannianLatent:
    latent = RiemannianLatent(D, temperature=temperature, regularization=0.05)
    values = 0.3 * standard_normal(range(len(codes)), D * D, stream=1).view(-1, D, D)
    factors = (values.tril(-1) + torch.diag_embed(values.diagonal(dim1=1, dim2=2).exp())).float()
    latent.metric.fit(codes, factors)
    for name, value in (("radius", 1.0), ("step_size", 0.3), ("n_steps", 10), ("spread", 0.4)):
        getattr(latent, name).fill_(value)
    return latent


def codes(count: int = 60) -> Tensor:
    return standard_normal(range(count), D).float()


@pytest.fixture(scope="module")
def compressed() -> RiemannianLatent:
    return compress_centroids(fitted(codes()), 5)


def test_few_centroids_remain_and_the_support_holds_the_former_ones(compressed) -> None:
    latent = fitted(codes())
    assert 2 <= len(compressed.metric.centroids) <= 12
    assert not (torch.cdist(compressed.metric.centroids, latent.metric.centroids) < 1e-4).any()
    assert compressed.is_fitted
    assert torch.equal(compressed.spread, latent.spread)
    inside = torch.cdist(latent.metric.centroids, compressed.metric.centroids).amin(dim=1) <= compressed.radius
    assert inside.float().mean() >= 0.98


def test_clusters_and_their_matrices_are_those_of_the_formula() -> None:
    centres = 8.0 * torch.eye(3)
    groups = centres.repeat_interleave(5, dim=0) + 0.1 * codes(15)
    latent = fitted(groups)
    compressed = compress_centroids(latent, 5)
    found, factors = compressed.metric.centroids, compressed.metric.factors
    for k in range(3):
        own = groups[5 * k : 5 * k + 5]
        row = int((found - centres[k]).norm(dim=1).argmin())
        assert torch.allclose(found[row], own.mean(dim=0), atol=1e-5)
        weights = torch.exp(-(own - found[row]).square().sum(dim=1) / 1.5**2)
        products = latent.metric.factors[5 * k : 5 * k + 5] @ latent.metric.factors[5 * k : 5 * k + 5].mT
        expected = (weights[:, None, None] * products).sum(dim=0)
        assert torch.allclose(factors[row] @ factors[row].T, expected, rtol=1e-4, atol=1e-5)
        at = found[row : row + 1].double()
        inverses = [one.metric.at(at).inverse for one in (compressed, latent)]
        assert torch.allclose(*inverses, rtol=1e-3, atol=1e-4)


def test_small_clusters_join_their_neighbours() -> None:
    # 5, 5 and 2 codes far apart: k-means wants the pair as a cluster of its own
    groups = torch.cat([codes(5) * 0.1, codes(5) * 0.1 + 9.0, codes(3)[:2] * 0.1 + torch.tensor([14.0, 9.0, 9.0])])
    found = compress_centroids(fitted(groups), 4).metric.centroids
    assert len(found) == 2
    expected = torch.stack([groups[:5].mean(dim=0), groups[5:].mean(dim=0)])
    assert torch.allclose(found[found[:, 0].argsort()], expected, atol=1e-5)


def test_enough_subjects_always_make_two_clusters() -> None:
    # k-means wants the outlier alone, which then joins the others: they are halved instead
    groups = torch.cat([codes(7) * torch.tensor([1.0, 0.1, 0.1]), torch.full((1, 3), 30.0)])
    found = compress_centroids(fitted(groups), 4).metric.centroids
    assert len(found) == 2
    assert torch.allclose(found.mean(dim=0), groups.mean(dim=0), atol=1e-5)


def test_items_of_one_subject_count_once() -> None:
    groups = torch.cat([codes(6) * 0.1, codes(6) * 0.1 + 9.0, codes(6) * 0.1 - 9.0])
    subjects = [f"s{i // 2}" for i in range(18)]
    # nine subjects, three in each group of six items
    assert len(compress_centroids(fitted(groups), 3, subjects).metric.centroids) == 3
    with pytest.raises(ValueError, match="9 subjects make 1 cluster of 6, needed: 2 and more"):
        compress_centroids(fitted(groups), 6, subjects)


def test_the_original_stays_and_the_result_repeats(compressed) -> None:
    latent = fitted(codes())
    before = {name: value.clone() for name, value in latent.state_dict().items()}
    torch.manual_seed(0)
    state = torch.get_rng_state()
    again = compress_centroids(latent, 5)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(value, before[name]) for name, value in latent.state_dict().items())
    assert torch.equal(compressed.sample(range(20)), again.sample(range(20)))
    assert torch.equal(compressed.metric.factors, again.metric.factors)


def test_the_width_is_that_of_the_clusters() -> None:
    groups = (8.0 * torch.eye(3)).repeat_interleave(5, dim=0) + 0.1 * codes(15)
    latent = fitted(groups)
    rms = torch.stack([one - one.mean(dim=0) for one in groups.split(5)]).square().sum(dim=2).mean().sqrt()
    for width in (0.5, 2.0):
        compressed = compress_centroids(latent, 5, width=width)
        assert float(compressed.metric.temperature) == pytest.approx(width * float(rms), rel=1e-5)
        centre = compressed.metric.centroids[:1]
        own = groups[(groups - centre).norm(dim=1) < 1.0]
        factors = latent.metric.factors[(groups - centre).norm(dim=1) < 1.0]
        weights = torch.exp(-(own - centre).square().sum(dim=1) / (width * rms) ** 2)
        expected = (weights[:, None, None] * (factors @ factors.mT)).sum(dim=0)
        found = compressed.metric.factors[0]
        assert torch.allclose(found @ found.T, expected, rtol=1e-3, atol=1e-5)
    assert float(compress_centroids(latent, 5).metric.temperature) == float(latent.metric.temperature) == 1.5


def per_class_network() -> PerClassVAE:
    arguments = {"spatial_dims": 2, "spatial_shape": [8, 8], "latent_dim": D, "channels": [4, 4]}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = PerClassVAE(2, "RHVAE", **arguments)
    for number, member in enumerate(network.members):
        member.latent = fitted(codes(24) + number)
    network.latent.members = tuple(member.latent for member in network.members)
    return network


def test_every_member_of_a_network_is_compressed_with_its_own_subjects() -> None:
    network = per_class_network()
    classes = [i % 2 for i in range(48)]
    subjects = [f"s{i // 4}" for i in range(48)]  # twelve subjects, two items of each class of each
    made = compress_network(network, 4, subjects, classes, width=1.0)
    for number, member in enumerate(made.latent.members):
        before = network.members[number].latent
        own = [name for name, of_class in zip(subjects, classes, strict=True) if of_class == number]
        expected = compress_centroids(before, 4, own, width=1.0)
        assert torch.equal(member.metric.centroids, expected.metric.centroids)
        assert made.members[number].latent is member
        assert len(before.metric.centroids) == 24
    assert set(made.state_dict()) == set(network.state_dict())
    assert has_manifolds(made)


def test_a_network_without_manifolds_has_nothing_to_compress() -> None:
    with torch.random.fork_rng(devices=[]):
        network = VAE(2, [8, 8], latent_dim=D, channels=[4, 4])
    assert not has_manifolds(network)
    with pytest.raises(ValueError, match="NormalLatent stores no codes of training items"):
        compress_network(network, 5)


@pytest.mark.parametrize("width", [0.0, -1.0])
def test_a_width_that_is_not_positive_is_refused(width: float) -> None:
    with pytest.raises(ValueError, match=f"width is {width}, allowed: above 0"):
        compress_centroids(fitted(codes()), 5, width=width)


def test_a_state_dict_restores_it(compressed) -> None:
    other = RiemannianLatent(D)
    other.load_state_dict(compressed.state_dict())
    assert torch.equal(other.sample(range(5)), compressed.sample(range(5)))


@pytest.mark.parametrize(
    ("size", "subjects", "complaint"),
    [
        (1, None, "min_subjects is 1, allowed: 2 and more"),
        (40, None, "60 subjects make 1 cluster of 40"),
        (2, ["a"], "1 subjects for 60 centroids"),
    ],
)
def test_what_is_not_allowed_is_refused(size, subjects, complaint) -> None:
    with pytest.raises(ValueError, match=complaint):
        compress_centroids(fitted(codes()), size, subjects)


def test_a_distribution_without_centroids_is_refused() -> None:
    with pytest.raises(RuntimeError, match="has not been fitted"):
        compress_centroids(RiemannianLatent(D))
