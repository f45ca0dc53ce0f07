# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from monai_genaug.latent import TruncatedNormalLatent
from monai_genaug.networks import VAE

SMALL: dict[str, Any] = {"latent_dim": 3, "channels": (4, 4)}


def seeded(kind: type[VAE] = VAE, *args: Any, **kwargs: Any) -> Any:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return kind(*args, **kwargs)


@pytest.mark.parametrize("shape", [(8, 12), (8, 12, 16)])
@pytest.mark.parametrize(("image_channels", "mask_classes"), [(1, 0), (2, 3)])
def test_shapes(shape: tuple[int, ...], image_channels: int, mask_classes: int) -> None:
    network = seeded(VAE, len(shape), shape, image_channels, mask_classes, **SMALL)
    image = torch.rand(2, image_channels, *shape)
    mask = torch.randint(0, mask_classes, (2, 1, *shape)) if mask_classes else None
    x = network.join(image, mask)
    assert x.shape == network(torch.zeros(2, 3)).shape == (2, image_channels + mask_classes, *shape)
    mean, log_variance = network.posterior(x)
    assert mean.shape == log_variance.shape == (2, 3)
    terms = network.elbo(x, generator=torch.Generator().manual_seed(0))
    assert set(terms) == {"loss", "image", "mask", "kl"}
    assert (terms["mask"] == 0) == (mask_classes == 0)
    total = terms["image"] + terms["mask"] + terms["kl"]
    torch.testing.assert_close(terms["loss"], total / (image_channels * math.prod(shape)))
    assert network(torch.zeros(2, 3))[:, :image_channels].min() >= 0.0


def test_join_is_one_hot_in_the_order_of_the_labels() -> None:
    network = seeded(VAE, 2, (4, 4), 1, 3, latent_dim=2, channels=(4,))
    mask = torch.tensor([[0, 1, 2, 0]] * 4)[None, None]
    joined = network.join(torch.full((1, 1, 4, 4), 0.25), mask.to(torch.uint8))
    assert joined.dtype == torch.float32
    assert (joined[:, 0] == 0.25).all()
    assert torch.equal(joined[:, 1:].argmax(dim=1), mask[:, 0])
    assert (joined[:, 1:].sum(dim=1) == 1).all()


def test_join_refuses_what_does_not_fit() -> None:
    network = seeded(VAE, 2, (4, 4), 1, 2, latent_dim=2, channels=(4,))
    image, mask = torch.zeros(1, 1, 4, 4), torch.zeros(1, 1, 4, 4)
    for arguments, words in [
        ((image[..., :2], mask), "image is"),
        ((image, mask[..., :2]), "mask is"),
        ((image, None), "missing"),
        ((image, mask + 2), "allowed: 0 to 1"),
        ((image, mask - 1), "allowed: 0 to 1"),
    ]:
        with pytest.raises(ValueError, match=words):
            network.join(*arguments)


@pytest.mark.parametrize("likelihood", ["gaussian", "bernoulli"])
def test_likelihoods_are_torchs(likelihood: str) -> None:
    network = seeded(VAE, 2, (4, 4), 1, 3, likelihood=likelihood, latent_dim=2, channels=(4,))
    x = network.join(torch.rand(2, 1, 4, 4), torch.randint(0, 3, (2, 1, 4, 4)))
    z = torch.randn(2, 2)
    decoded = network(z)
    mean, logits = decoded[:, :1], decoded[:, 1:]
    if likelihood == "gaussian":
        law: torch.distributions.Distribution = torch.distributions.Normal(mean, (0.5 * network.log_variance).exp())
        expected = law.log_prob(x[:, :1])
    else:
        expected = -torch.nn.functional.binary_cross_entropy(mean, x[:, :1], reduction="none")
    image, mask = network.log_likelihood(x, z)
    torch.testing.assert_close(image, expected.sum(dim=(1, 2, 3)), rtol=1e-5, atol=1e-4)
    labels = torch.distributions.Categorical(logits=logits.movedim(1, -1)).log_prob(x[:, 1:].argmax(dim=1))
    torch.testing.assert_close(mask, labels.sum(dim=(1, 2)), rtol=1e-5, atol=1e-4)


def linear_gaussian(dtype: torch.dtype = torch.float32) -> tuple[VAE, Tensor, Tensor]:
    """A VAE whose decoder is made linear, so that p(x) is a Gaussian known exactly."""
    network = seeded(VAE, 2, (4, 4), 1, 0, latent_dim=2, channels=(4,)).to(dtype)
    weight = 0.3 * torch.randn(16, 2, generator=torch.Generator().manual_seed(1), dtype=dtype)

    def decode(z: Tensor) -> Tensor:
        return 0.5 + (z @ weight.T).view(-1, 1, 4, 4)

    network.decoded_mean = decode  # type: ignore[method-assign]
    with torch.no_grad():
        network.log_variance.fill_(math.log(0.25))
    covariance = weight @ weight.T + 0.25 * torch.eye(16, dtype=dtype)
    return network, weight, covariance


def test_elbo_is_below_log_p_and_touches_it_with_the_true_posterior() -> None:
    network, weight, covariance = linear_gaussian()
    x = torch.rand(1, 1, 4, 4, generator=torch.Generator().manual_seed(2))
    evidence = torch.distributions.MultivariateNormal(torch.full((16,), 0.5), covariance)
    log_p = float(evidence.log_prob(x.flatten()))
    noise = torch.Generator().manual_seed(0)
    many = x.expand(4000, -1, -1, -1)
    bound = -16 * float(network.elbo(many, generator=noise)["loss"])
    assert bound < log_p
    # with the columns of the decoder orthogonal, the true posterior is diagonal, and the bound is tight
    weight.copy_(torch.linalg.qr(weight)[0])
    precision = 1.0 / 0.25 + 1.0
    mean = ((x.flatten() - 0.5) @ weight / 0.25 / precision)[None]
    covariance = weight @ weight.T + 0.25 * torch.eye(16)
    evidence = torch.distributions.MultivariateNormal(torch.full((16,), 0.5), covariance)

    def true_posterior(x: Tensor) -> tuple[Tensor, Tensor]:
        return mean.expand(len(x), 2), torch.full((len(x), 2), -math.log(precision))

    network.posterior = true_posterior  # type: ignore[method-assign]
    tight = -16 * float(network.elbo(many, generator=noise)["loss"])
    assert tight == pytest.approx(float(evidence.log_prob(x.flatten())), abs=0.1)


def test_observed_leaves_out_what_was_not_measured() -> None:
    network = seeded(VAE, 2, (4, 4), 1, 0, latent_dim=2, channels=(4,))
    observed = torch.ones(1, 1, 4, 4)
    observed[..., 2:] = 0
    one, other = torch.rand(1, 1, 4, 4), torch.rand(1, 1, 4, 4)
    other[..., :2] = one[..., :2]
    z = torch.zeros(1, 2)
    first, second = (network.log_likelihood(x, z, observed)[0] for x in (one, other))
    assert first == second
    assert first != network.log_likelihood(one, z)[0]


def test_state_dict_restores_sampling() -> None:
    latent = TruncatedNormalLatent(3)
    network = seeded(VAE, 2, (8, 8), **SMALL, latent=latent)
    network.fit_generation([torch.rand(4, 1, 8, 8)], [])
    other = VAE(2, (8, 8), **SMALL, latent=TruncatedNormalLatent(3))
    other.load_state_dict(network.state_dict())
    assert torch.equal(other.latent.sample(range(5)), network.latent.sample(range(5)))
    assert torch.equal(other(other.latent.sample([1])), network(network.latent.sample([1])))


@pytest.mark.parametrize(
    "changes",
    [
        {"spatial_dims": 3},
        {"likelihood": "poisson"},
        {"mask_classes": 1},
        {"spatial_shape": (9, 8)},
        {"latent": TruncatedNormalLatent(5)},
    ],
)
def test_bad_arguments(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"\d|poisson"):
        VAE(**{"spatial_dims": 2, "spatial_shape": (8, 8), **SMALL, **changes})
