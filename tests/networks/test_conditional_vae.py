# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from monai_genaug.latent import ClassWiseLatent
from monai_genaug.networks import VAE, ConditionalVAE
from tests.toy_families import family_network, pictures

SMALL: dict[str, Any] = {"latent_dim": 3, "channels": (4, 4)}


def seeded(**changes: Any) -> ConditionalVAE:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return ConditionalVAE(**{"spatial_dims": 2, "spatial_shape": (8, 8), "n_classes": 3, **SMALL, **changes})


def test_layers_of_the_published_tables() -> None:
    network = ConditionalVAE(2, (28, 28), 9, 3, latent_dim=150)
    for module, count in (
        (network.encoder, 1_570_848),
        (network.decoder.blocks, 1_568_160),
        (network.decoder.output, 19_491),
        (network.from_code, (150 + 9) * 2048 + 2048),
        (network.class_channel, (9 + 1) * 28 * 28),
        (network.to_posterior, 2 * 150 * (512 + 1)),
    ):
        assert sum(parameter.numel() for parameter in module.parameters()) == count


@pytest.mark.parametrize("shape", [(28, 28), (32, 32), (64, 48), (12, 10, 9)])
@pytest.mark.parametrize("mask_classes", [0, 3])
def test_shapes(shape: tuple[int, ...], mask_classes: int) -> None:
    network = seeded(spatial_dims=len(shape), spatial_shape=shape, image_channels=2, mask_classes=mask_classes)
    mask = torch.randint(0, 3, (4, 1, *shape)) if mask_classes else None
    x = network.join(torch.rand(4, 2, *shape), mask, torch.tensor([0, 1, 2, 2]))
    assert x.shape == (4, 2 + mask_classes + 3, *shape)
    assert network(network.code_of(x)).shape == (4, 2 + mask_classes, *shape)
    assert network.encode(x).shape == (4, 3)
    assert set(network.elbo(x)) == {"loss", "image", "mask", "kl"}


def by_hand(
    network: ConditionalVAE, image: Tensor, mask: Tensor, classes: list[int], noise: Tensor
) -> dict[str, float]:
    """The bound of a network with Gaussian images and labels, from its layers and numpy."""
    one_hot = np.eye(3, dtype=np.float32)[classes]
    labels = np.moveaxis(np.eye(2, dtype=np.float32)[mask[:, 0].numpy()], -1, 1)
    weight, bias = (parameter.detach().numpy() for parameter in network.class_channel.parameters())
    channel = (one_hot @ weight.T + bias).reshape(-1, 1, 8, 8)
    seen = torch.from_numpy(np.concatenate([image.numpy(), labels, channel], axis=1))
    raw = network.to_posterior(network.encoder(seen).flatten(1)).detach().double().numpy()
    mean, log_variance = raw[:, :3], raw[:, 3:].clip(-12.0, 2.0)
    z = mean + np.exp(0.5 * log_variance) * noise.double().numpy()
    code = torch.from_numpy(np.concatenate([z, one_hot], axis=1)).float()
    decoded = network.decoder(network.from_code(code)).detach().double().numpy()
    painted, logits = 1.0 / (1.0 + np.exp(-decoded[:, :1])), decoded[:, 1:]
    variance = np.exp(network.log_variance.detach().double().numpy()).reshape(1, -1, 1, 1)
    error = 0.5 * ((image.numpy() - painted) ** 2 / variance + np.log(2.0 * np.pi * variance))
    log_sum = np.log(np.exp(logits).sum(axis=1, keepdims=True))
    terms = {
        "image": error.sum(axis=(1, 2, 3)).mean(),
        "mask": ((log_sum - logits) * labels).sum(axis=(1, 2, 3)).mean(),
        "kl": 0.5 * (mean**2 + np.exp(log_variance) - log_variance - 1.0).sum(axis=1).mean(),
    }
    return {**terms, "loss": sum(terms.values()) / 64}


@pytest.mark.parametrize("training", [True, False])
def test_elbo_is_the_formula(training: bool) -> None:
    network = seeded(mask_classes=2).train(training)
    image, classes = pictures(5), [0, 1, 2, 0, 2]
    mask = (pictures(5, seed=1) > 0.6).long()
    terms = network.elbo(network.join(image, mask, torch.tensor(classes)), generator=torch.Generator().manual_seed(7))
    noise = torch.randn(5, 3, generator=torch.Generator().manual_seed(7))
    expected = by_hand(network, image, mask, classes, noise)
    assert {name: float(value.detach()) for name, value in terms.items()} == pytest.approx(expected, rel=1e-4)


def test_the_class_reaches_encoder_and_decoder() -> None:
    network = family_network("conditional_vae").eval()
    image = pictures(1).expand(2, -1, -1, -1)
    x = network.join(image, None, torch.tensor([0, 1]))
    one, other = network.encode(x)
    assert (one - other).abs().max() > 1e-3
    assert torch.equal(network.code_of(x)[:, -2:], torch.eye(2))
    network.train().elbo(x, generator=torch.Generator().manual_seed(0))["loss"].backward()
    assert (network.class_channel.weight.grad.abs().sum(dim=0) > 0).all()
    assert (network.from_code[0].weight.grad[:, -2:].abs().sum(dim=0) > 0).all()


def test_gradients_of_the_bound_reach_the_class_planes() -> None:
    network = seeded().eval()
    x = network.join(torch.rand(2, 1, 8, 8), None, torch.tensor([0, 2])).requires_grad_()
    (gradient,) = torch.autograd.grad(network.elbo(x, generator=torch.Generator().manual_seed(0))["loss"], x)
    assert (gradient[:, 1:].flatten(2).abs().sum(dim=2) > 0).all()


def test_without_classes_a_vae_has_no_class_layers() -> None:
    names = set(VAE(2, (8, 8), **SMALL).state_dict())
    assert set(seeded(stack="residual").state_dict()) - names == {"class_channel.weight", "class_channel.bias"}


def test_each_class_has_its_own_mixture_after_the_fit() -> None:
    network = seeded(n_classes=2, latent="gaussian_mixture").eval()
    assert not network.latent.is_fitted
    images, classes = pictures(40), torch.arange(40) % 2
    batches = [
        network.join(images[first : first + 15], None, classes[first : first + 15]) for first in range(0, 40, 15)
    ]
    network.fit_generation(batches, [])
    latent = network.latent
    assert isinstance(latent, ClassWiseLatent)
    codes = network.encode(torch.cat(batches))
    for k in range(2):
        mixture: Any = latent.members[k]
        torch.testing.assert_close(mixture.weights @ mixture.means, codes[classes == k].mean(dim=0), rtol=0, atol=1e-3)
    again = seeded(n_classes=2, latent="gaussian_mixture").eval()
    again.load_state_dict(network.state_dict())
    drawn = [one.draw_latent([1, 2, 3], [0, 1, 1]) for one in (network, again)]
    assert torch.equal(*drawn)
    code = network.with_class(drawn[0], torch.tensor([0, 1, 1]))
    assert torch.equal(network(code), again(code))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"n_classes": 0}, "n_classes is 0, allowed: 2 and more"),
        ({"n_classes": 1}, "n_classes is 1"),
        ({"stack": "plain"}, "stack is 'plain'"),
        ({"likelihood": "poisson"}, "likelihood is 'poisson'"),
        ({"latent": "uniform"}, "latent is 'uniform'"),
        ({"channels": ()}, "channels are"),
    ],
)
def test_bad_arguments(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        seeded(**changes)
