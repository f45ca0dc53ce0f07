# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Terms of training objectives."""

from __future__ import annotations

from monai_genaug.losses.adversarial import ADVERSARIAL_KINDS, discriminator_loss, generator_loss
from monai_genaug.losses.capacity import gumbel_softmax_draw, linear_capacity, uniform_categorical_kl
from monai_genaug.losses.gradient_penalty import gradient_penalty
from monai_genaug.losses.likelihoods import (
    bernoulli_log_likelihood,
    categorical_log_likelihood,
    diagonal_gaussian_log_density,
    gaussian_log_likelihood,
    standard_normal_kl,
)

__all__ = [
    "ADVERSARIAL_KINDS",
    "bernoulli_log_likelihood",
    "categorical_log_likelihood",
    "diagonal_gaussian_log_density",
    "discriminator_loss",
    "gaussian_log_likelihood",
    "generator_loss",
    "gradient_penalty",
    "gumbel_softmax_draw",
    "linear_capacity",
    "standard_normal_kl",
    "uniform_categorical_kl",
]
