# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""One training step of the RHVAE beside pythae's, with the same networks, batch and leapfrog steps.

Both compute the loss, its gradient and a step of Adam. Ours is the whole lower bound with exact gradients through the
flow; pythae's leaves out the momentum's entropy and takes the forces of two of the three leapfrog equations as
constants. With a first-order force ours takes all of them so. The dense networks are pythae's default ones for 28 × 28
images (but for the metric's, which reads the encoder's features on both sides), the convolutional ones those of our
bundles; pythae's copy of these consists of PyTorch's own layers, ours of our forms of them. Codes have d dimensions:
16 is our default, 24 what the bundle of hippocampi has.

``python -m benchmarks.rhvae_training [--quick]``; needs pythae (``pip install monai-genaug[bench]``).
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import torch
from monai.networks.layers.factories import Conv
from torch import Tensor, nn

from benchmarks.timing import Row, alternate, show, time_row
from monai_genaug.networks import RHVAE, VAE
from monai_genaug.networks.layers.conv_stacks import pooled
from monai_genaug.networks.layers.doubling import DoublingConv2d, DoublingConv3d
from monai_genaug.networks.layers.metric_factor import MetricFactor

HIDDEN = 512  # of the dense networks


@dataclass(frozen=True)
class Case:
    """Sizes, and how many times as fast as pythae's the full step and the first-order one should be."""

    batch_size: int
    shape: tuple[int, ...]
    channels: tuple[int, ...]
    latent_dim: int
    full: float
    first_order: float
    dense: bool = False

    @property
    def name(self) -> str:
        """Of the rows."""
        sizes = " × ".join(map(str, (self.batch_size, *self.shape)))
        kind = "dense" if self.dense else "convolutional"
        return f"{len(self.shape)}D, {sizes}, {kind}, d = {self.latent_dim}"

    def network(self, kind: type[VAE]) -> Any:
        """A network with the case's layers."""
        network = kind(len(self.shape), self.shape, latent_dim=self.latent_dim, channels=self.channels)
        return _densely(network) if self.dense else network


CASES = (
    *(Case(64, (28, 28), (16, 32), d, 2.5, 4.0, dense=True) for d in (10, 16, 24)),
    *(Case(64, (28, 28), (16, 32), d, 2.5, 4.0) for d in (10, 16, 24)),
    *(Case(8, (32, 48, 32), (16, 32, 64), d, 2.0, 4.0) for d in (10, 24)),
)


def rows(quick: bool = False) -> list[Row]:
    """All cases."""
    return [row for case in CASES for row in _rows_of(case, quick)]


def _rows_of(case: Case, quick: bool) -> list[Row]:
    count, repeats = (2, 1) if quick else (case.batch_size, 15)
    x = torch.rand(count, 1, *case.shape, generator=torch.Generator().manual_seed(0))
    ours = case.network(RHVAE)
    first_order = copy.deepcopy(ours)
    first_order.second_order = False
    difference = gradient_difference(ours, first_order, x)
    steps = {
        "ours": elbo_step(ours, x),
        "first": elbo_step(first_order, x),
        "plain": elbo_step(case.network(VAE), x),
    }
    if find_spec("pythae"):
        steps["pythae"] = pythae_step(_of_pytorch(copy.deepcopy(ours)), x)
    seconds = alternate(steps, repeats, warm_up=2)
    full, first, plain, peer = (seconds.get(name, ()) for name in ("ours", "first", "plain", "pythae"))
    missing = "" if peer else "pythae is not installed"
    differs = f"gradient differs by {difference:.0e} of its length"
    short = f"first-order force, {case.name}"
    return [
        time_row(case.name, full, "step", 1, "pythae", peer, at_least=case.full, note=missing),
        time_row(short, first, "step", 1, "pythae", peer, at_least=case.first_order, note=missing or differs),
        time_row(case.name, full, "step", 1, "plain VAE", plain, at_most=3.0),
        time_row(short, first, "step", 1, "plain VAE", plain, at_most=3.0),
    ]


def elbo_step(network: VAE, x: Tensor) -> Callable[[], None]:
    """Our step, as :class:`monai_genaug.engines.VAETrainer` takes it."""
    return _step(network, lambda: network.elbo(x, generator=torch.Generator().manual_seed(0))["loss"])


def pythae_step(network: RHVAE, x: Tensor) -> Callable[[], None]:
    """pythae's step on the parts of a network of ours."""
    from pythae import models

    config = models.RHVAEConfig(input_dim=tuple(x.shape[1:]), latent_dim=network.latent_dim, reconstruction_loss="mse")
    model = models.RHVAE(config, *_parts(network)).train()
    return _step(model, lambda: model({"data": x}).loss)


def gradient_difference(full: RHVAE, first_order: RHVAE, x: Tensor) -> float:
    """Length of the difference of the two gradients, relative to the full one's; same weights, same noise."""
    first_order.load_state_dict(full.state_dict())
    gradients = []
    for network in (full, first_order):
        network.zero_grad()
        network.elbo(x, generator=torch.Generator().manual_seed(1))["loss"].backward()
        gradients.append(torch.cat([p.grad.flatten() for p in network.parameters() if p.grad is not None]))
    return float((gradients[0] - gradients[1]).norm() / gradients[0].norm())


def _step(network: nn.Module, loss: Callable[[], Tensor]) -> Callable[[], None]:
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-5)

    def step() -> None:
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()

    return step


def _densely(network: VAE) -> VAE:
    """The network with dense layers of :data:`HIDDEN` features in place of its convolutions."""
    shape, latent_dim = (1, *network.spatial_shape), network.latent_dim
    features = nn.Unflatten(1, (HIDDEN, *[1] * len(network.spatial_shape)))
    network.encoder = nn.Sequential(
        nn.Flatten(), nn.Linear(math.prod(network.spatial_shape), HIDDEN), nn.ReLU(), features
    )
    network.to_posterior = nn.Linear(HIDDEN, 2 * latent_dim)
    network.from_code = nn.Sequential(nn.Linear(latent_dim, HIDDEN), nn.ReLU())
    network.decoder = nn.Sequential(nn.Linear(HIDDEN, math.prod(network.spatial_shape)), nn.Unflatten(1, shape))
    if isinstance(network, RHVAE):
        network.metric_factor = MetricFactor(HIDDEN, latent_dim)
    return network


def _of_pytorch(network: RHVAE) -> RHVAE:
    """The network with PyTorch's layers in place of ours, which compute the same."""
    for parent in list(network.modules()):
        for name, layer in list(parent.named_children()):
            if isinstance(layer, DoublingConv2d | DoublingConv3d):
                kind = Conv[Conv.CONVTRANS, len(network.spatial_shape)]
                plain = kind(layer.in_channels, layer.out_channels, 4, stride=2, padding=1)
                plain.load_state_dict(layer.state_dict())
                setattr(parent, name, plain)
    return network


def _parts(network: RHVAE) -> Sequence[nn.Module]:
    """Encoder, decoder and metric of a network of ours, as pythae wants them; the metric shares the encoder's work."""
    from pythae.models.base.base_utils import ModelOutput
    from pythae.models.nn import BaseDecoder, BaseEncoder, BaseMetric

    features: list[Tensor] = []

    class Encoder(BaseEncoder):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, x: Tensor) -> Any:
            features[:] = [network._encoded(x)]
            mean, log_variance = network._posterior_of(features[0])
            return ModelOutput(embedding=mean, log_covariance=log_variance)

    class Decoder(BaseDecoder):  # type: ignore[misc]
        def forward(self, z: Tensor) -> Any:
            return ModelOutput(reconstruction=network(z))

    class Metric(BaseMetric):  # type: ignore[misc]
        def forward(self, x: Tensor) -> Any:
            return ModelOutput(L=network.metric_factor(pooled(features[0])))

    return Encoder(), Decoder(), Metric()


if __name__ == "__main__":
    show(rows)
