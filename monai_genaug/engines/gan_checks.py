# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""What an adversarial training refuses."""

from __future__ import annotations

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim import Optimizer

from monai_genaug.networks.latent_decoder import LatentDecoder

__all__ = ["check_batch_size", "check_gan_networks", "check_optimizer"]


def check_gan_networks(
    generator: LatentDecoder, discriminator: nn.Module, class_key: str | None, penalty: float
) -> None:
    """Refuses networks that don't fit each other or the objective.

    Args:
        generator: the generator.
        discriminator: with the attributes ``n_classes`` and ``has_batch_norm``.
        class_key: key of the class ids, None for none.
        penalty: weight of the gradient penalty.

    Raises:
        ValueError: they don't fit.
    """
    if generator.mask_classes:
        raise ValueError(f"the generator has mask_classes={generator.mask_classes}, allowed: 0 (images alone).")
    if (class_key is None) != (generator.n_classes == 0):
        raise ValueError(f"class_key is {class_key!r}, but the generator has n_classes={generator.n_classes}.")
    if discriminator.n_classes != generator.n_classes:
        raise ValueError(
            f"the discriminator has n_classes={discriminator.n_classes}, needed: the generator's {generator.n_classes}."
        )
    if penalty and discriminator.has_batch_norm:
        raise ValueError(
            f"gradient_penalty is {penalty} and the discriminator has batch norm, but the penalty is one per sample; "
            "allowed: 0, or a discriminator without batch norm."
        )


def check_optimizer(name: str, optimizer: Optimizer, network: nn.Module) -> None:
    """Refuses an optimizer of another network.

    Raises:
        ValueError: it holds parameters that are not the network's.
    """
    own = {id(parameter) for parameter in network.parameters()}
    held = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    foreign = sum(id(parameter) not in own for parameter in held)
    if foreign:
        raise ValueError(
            f"{foreign} of the {len(held)} parameters of {name} are not those of {type(network).__name__}."
        )


def check_batch_size(count: int, *networks: nn.Module) -> None:
    """Refuses a batch of one image in networks with batch norm.

    Raises:
        ValueError: there is one image alone, and batch norm.
    """
    if count < 2 and any(isinstance(module, _BatchNorm) for network in networks for module in network.modules()):
        raise ValueError(f"a batch of {count} has no statistics for batch norm: set drop_last or another batch size.")
