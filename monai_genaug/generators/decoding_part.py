# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""What of a network makes samples, in a form that a program of fixed steps can have."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from monai_genaug.latent import ClassWiseLatent, LatentDistribution
from monai_genaug.networks import LatentDecoder, PerClassVAE
from monai_genaug.networks.layers.spectral_gain import SpectralGain, filtered_images

__all__ = ["decoding_part", "latent_part"]


def decoding_part(network: LatentDecoder) -> nn.Module:
    """A copy on the CPU, from codes to what the network decodes, without encoder and latent distribution."""
    copied = copy.deepcopy(network).cpu()
    return _AllMembers(copied) if isinstance(copied, PerClassVAE) else _stripped(copied)


def latent_part(network: LatentDecoder) -> LatentDistribution:
    """The distribution of the network's codes; of one with members, theirs together."""
    if not isinstance(network, PerClassVAE):
        return network.latent
    assert isinstance(network.latent, ClassWiseLatent)
    members = [copy.deepcopy(member) for member in network.latent.members]
    latent = ClassWiseLatent(len(members), members[0])
    latent.members = nn.ModuleList(members)  # type: ignore[assignment]  # it is one
    latent.spread = network.latent.spread
    return latent


def _stripped(network: LatentDecoder) -> LatentDecoder:
    """Drops those parts of a network that a decoding does not run, and settles whether its gain does anything."""
    ran: set[nn.Module] = set()
    hooks = [part.register_forward_hook(lambda part, _inputs, _output: ran.add(part)) for part in network.modules()]
    with torch.no_grad():
        network(torch.zeros(1, network.code_dim))
    for hook in hooks:
        hook.remove()
    for name, part in list(network.named_children()):
        if isinstance(part, SpectralGain):
            setattr(network, name, _SettledGain(part, network.spatial_shape))
        elif not ran.intersection(part.modules()):
            delattr(network, name)
    return network


class _SettledGain(nn.Module):
    """A gain for images of one size, of which is known whether it does anything: a program must not ask its values."""

    factor: Tensor

    def __init__(self, gain: SpectralGain, spatial_shape: Sequence[int]) -> None:
        super().__init__()
        self.is_fitted = gain.is_fitted
        self.register_buffer("factor", gain.factor(spatial_shape))

    def forward(self, images: Tensor) -> Tensor:
        return filtered_images(images, self.factor)


class _AllMembers(nn.Module):
    """Decodes by every member and takes what that of the class gives: which ones to run is no fixed step."""

    def __init__(self, network: PerClassVAE) -> None:
        super().__init__()
        self.latent_dim = network.latent_dim
        self.members = nn.ModuleList(_stripped(member) for member in network.members)  # type: ignore[arg-type]

    def forward(self, code: Tensor) -> Tensor:
        z, one_hot = code[:, : self.latent_dim], code[:, self.latent_dim :]
        decoded = torch.stack([member(z) for member in self.members], dim=1)  # (n, classes, channels, *spatial)
        chosen: Tensor = (decoded * one_hot.view(*one_hot.shape, *[1] * (decoded.ndim - 2))).sum(dim=1)
        return chosen
