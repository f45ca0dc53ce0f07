# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from monai.data import DataLoader, Dataset
from scipy import stats
from torch import Tensor
from torch.nn import functional

from monai_genaug.engines import VAEEvaluator, VAETrainer
from monai_genaug.handlers import TrainingCheckpoint
from monai_genaug.losses import gumbel_softmax_draw
from monai_genaug.networks import JointVAE
from tests.toy_families import family_network, pictures

SMALL: dict[str, Any] = {"continuous_dim": 2, "n_categories": 3, "channels": (4, 4)}


def seeded(**changes: Any) -> JointVAE:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return JointVAE(**{"spatial_dims": 2, "spatial_shape": (8, 8), **SMALL, **changes})


def fixed(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_layers_of_the_published_tables() -> None:
    network = JointVAE(2, (28, 28), 3, continuous_dim=100, n_categories=50)
    for module, count in (
        (network.encoder, 1_570_560),
        (network.decoder.blocks, 1_568_160),
        (network.decoder.output, 19_491),
        (network.from_code, (100 + 50) * 2048 + 2048),
        (network.to_posterior, (2 * 100 + 50) * (512 + 1)),
    ):
        assert sum(parameter.numel() for parameter in module.parameters()) == count


@pytest.mark.parametrize("shape", [(28, 28), (12, 10, 9)])
@pytest.mark.parametrize("mask_classes", [0, 2])
def test_shapes(shape: tuple[int, ...], mask_classes: int) -> None:
    network = seeded(spatial_dims=len(shape), spatial_shape=shape, mask_classes=mask_classes)
    x = network.join(torch.rand(3, 1, *shape), torch.ones(3, 1, *shape) if mask_classes else None)
    assert network.latent_dim == network.noise_dim == network.code_dim == 5
    assert network(network.code_of(x)).shape == (3, 1 + mask_classes, *shape)
    terms = network.elbo(x)
    assert set(terms) == {"loss", "image", "mask", "kl", "kl_continuous", "kl_discrete"}
    assert (terms["mask"] > 0) == (mask_classes > 0)


def by_hand(network: JointVAE, x: Tensor, step: int, seed: int) -> dict[str, float]:
    """The objective of equation 7 from the network's layers and numpy."""
    raw = network.to_posterior(network.encoder(x).flatten(1)).detach().double().numpy()
    mean, log_variance, logits = raw[:, :2], raw[:, 2:4].clip(-12.0, 2.0), raw[:, 4:]
    generator = fixed(seed)
    noise = torch.randn(len(x), 2, generator=generator).double().numpy()
    uniform = torch.rand(len(x), 3, generator=generator).double().numpy()
    perturbed = (logits - np.log(-np.log(uniform))) / network.gumbel_temperature
    c = np.exp(perturbed) / np.exp(perturbed).sum(axis=1, keepdims=True)
    code = torch.from_numpy(np.concatenate([mean + np.exp(0.5 * log_variance) * noise, c], axis=1)).float()
    decoded = network.decoder(network.from_code(code)).detach().double().numpy()
    painted = 1.0 / (1.0 + np.exp(-decoded))
    variance = np.exp(float(network.log_variance.detach()))
    error = 0.5 * ((x.numpy() - painted) ** 2 / variance + np.log(2.0 * np.pi * variance))
    q = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    continuous = 0.5 * (mean**2 + np.exp(log_variance) - log_variance - 1.0).sum(axis=1).mean()
    discrete = (q * np.log(q * 3.0)).sum(axis=1).mean()
    grown = min(step / network.capacity_steps, 1.0)
    away = abs(continuous - grown * 30.0) + abs(discrete - grown * min(0.9, math.log(3.0)))
    terms = {"image": error.sum(axis=(1, 2, 3)).mean(), "mask": 0.0, "kl": network.capacity_weight * away}
    loss = sum(terms.values()) / 64
    return {**terms, "loss": loss, "kl_continuous": continuous, "kl_discrete": discrete}


@pytest.mark.parametrize(("before", "training", "step"), [(0, True, 1), (0, False, 0), (4, True, 5), (40, False, 40)])
def test_elbo_is_the_formula(before: int, training: bool, step: int) -> None:
    network = seeded(capacity_steps=10, capacity_discrete=0.9, capacity_weight=20.0).train(training)
    network.n_updates.fill_(before)
    x = pictures(5)
    found = {name: float(value.detach()) for name, value in network.elbo(x, generator=fixed(3)).items()}
    assert found == pytest.approx(by_hand(network, x, step, 3), rel=1e-4, abs=1e-6)


def test_discrete_capacity_is_at_most_what_the_categories_can_hold() -> None:
    assert seeded(capacity_discrete=5.0).capacity_discrete == pytest.approx(math.log(3.0))
    assert seeded(capacity_discrete=0.5).capacity_discrete == 0.5


def test_training_counts_its_iterations_and_evaluation_does_not() -> None:
    network, x = seeded(), pictures(4)
    for _ in range(3):
        network.elbo(x, generator=fixed())
    network.eval().elbo(x, generator=fixed())
    assert int(network.n_updates) == 3


def trained(folder: Path, epochs: int) -> JointVAE:
    network = seeded(capacity_steps=8)
    items = [{"image": image} for image in pictures(8)]
    optimizer = torch.optim.Adam(network.parameters(), 1e-2)
    evaluator = VAEEvaluator("cpu", DataLoader(Dataset(items), batch_size=4), network, mask_key=None)
    handlers = [TrainingCheckpoint(folder, network, optimizer)]
    loader = DataLoader(Dataset(items), batch_size=4)
    VAETrainer("cpu", epochs, loader, network, optimizer, mask_key=None, train_handlers=handlers).run()
    evaluator.run()
    return network


def test_capacities_go_on_where_a_resumed_training_left_them(tmp_path: Path) -> None:
    straight = trained(tmp_path / "straight", 3)
    trained(tmp_path / "stopped", 1)
    resumed = trained(tmp_path / "stopped", 3)
    assert int(resumed.n_updates) == int(straight.n_updates) == 6
    for name, tensor in straight.state_dict().items():
        assert torch.equal(tensor, resumed.state_dict()[name]), name


def test_relaxed_draws_carry_gradients_to_the_categories() -> None:
    network = seeded(capacity_weight=1e-9)
    network.elbo(pictures(4), generator=fixed())["loss"].backward()
    assert network.to_posterior.weight.grad[-3:].abs().amax() > 1e-6
    assert network.from_code[0].weight.grad[:, -3:].abs().amax() > 1e-6


def test_mean_codes_hold_probabilities_and_draws_one_category() -> None:
    network = family_network("joint_vae").eval()
    x = pictures(1)
    mean, log_variance, logits = network.joint_posterior(x)
    expected = torch.cat([mean, functional.softmax(logits, dim=1)], dim=1)
    assert torch.equal(network.encode(x), expected)
    count = 4000
    noise = torch.randn(count, network.noise_dim, generator=fixed())
    drawn = network.encode(x.expand(count, -1, -1, -1), noise).detach()
    one_hot = drawn[:, 3:]
    assert set(one_hot.unique().tolist()) == {0.0, 1.0}
    assert (one_hot.sum(dim=1) == 1.0).all()
    probabilities = expected[0, 3:].detach().double().numpy()
    probabilities = probabilities / probabilities.sum()
    assert stats.chisquare(one_hot.sum(dim=0).numpy(), count * probabilities).pvalue > 0.01
    torch.testing.assert_close(drawn[:, :3], (mean + torch.exp(0.5 * log_variance) * noise[:, :3]).detach())


def test_extreme_noise_gives_finite_codes() -> None:
    network = family_network("joint_vae").eval()
    noise = torch.full((1, network.noise_dim), 40.0)
    noise[:, -2:] = -40.0
    assert network.encode(pictures(1), noise).isfinite().all()
    assert gumbel_softmax_draw(torch.zeros(1, 2), torch.tensor([[1e-6, 1.0 - 1e-6]]), 0.01).isfinite().all()


def test_fit_takes_frequencies_of_the_categories() -> None:
    network = family_network("joint_vae").eval()
    x = pictures(12)
    network.fit_generation([x[:5], x[5:]], [])
    expected = network.encode(x)[:, 3:].mean(dim=0)
    torch.testing.assert_close(network.latent.frequencies, expected.detach())
    fitted = seeded(latent="gaussian_mixture", continuous_dim=2)
    assert not fitted.latent.is_fitted
    fitted.eval().fit_generation([x], [])
    assert fitted.latent.is_fitted
    again = seeded(latent="gaussian_mixture", continuous_dim=2).eval()
    again.load_state_dict(fitted.state_dict())
    assert torch.equal(again(again.draw_latent([1, 2])), fitted(fitted.draw_latent([1, 2])))


def test_mixed_precision_is_finite() -> None:
    network = seeded()
    with torch.autocast("cpu", torch.bfloat16):
        terms = network.elbo(pictures(4), generator=fixed())
    terms["loss"].backward()
    assert all(parameter.grad.isfinite().all() for parameter in network.parameters() if parameter.grad is not None)


@pytest.mark.parametrize(
    "changes",
    [
        {"n_categories": 1},
        {"continuous_dim": 0},
        {"capacity_continuous": 0.0},
        {"capacity_discrete": -1.0},
        {"capacity_steps": 0},
        {"capacity_weight": float("inf")},
        {"gumbel_temperature": float("nan")},
        {"latent": "uniform"},
    ],
)
def test_bad_arguments(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=rf"{next(iter(changes))}|latent_dim must be >= 1, got 0"):
        seeded(**changes)
