# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Latent distributions by name, for configs."""

from __future__ import annotations

from collections.abc import Callable

from monai_genaug.latent.base import LatentDistribution
from monai_genaug.latent.class_wise import ClassWiseLatent
from monai_genaug.latent.gaussian_mixture import GaussianMixtureLatent
from monai_genaug.latent.normal import NormalLatent
from monai_genaug.latent.truncated_normal import TruncatedNormalLatent

__all__ = ["LATENT_NAMES", "latent_by_name"]

_KINDS: dict[str, Callable[[int], LatentDistribution]] = {
    "normal": NormalLatent,
    "truncated_normal": TruncatedNormalLatent,
    "gaussian_mixture": GaussianMixtureLatent,
}
LATENT_NAMES = tuple(_KINDS)
"""What :func:`latent_by_name` knows."""


def latent_by_name(name: str, latent_dim: int, n_classes: int = 0) -> LatentDistribution:
    """A distribution of z with its default settings.

    Args:
        name: one of :data:`LATENT_NAMES`.
        latent_dim: dimensions of z.
        n_classes: of a conditional network; what is fitted to codes is then fitted to each class by itself.

    Raises:
        ValueError: an unknown name.
    """
    if name not in _KINDS:
        raise ValueError(f"latent is {name!r}, allowed: {LATENT_NAMES}.")
    latent = _KINDS[name](latent_dim)
    return latent if latent.is_fitted or n_classes == 0 else ClassWiseLatent(n_classes, latent)
