# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Riemannian Hamiltonian VAE: a posterior that flows along a learned metric of the latent space.

Chadebec, Mantoux, Allassonniere, "Geometry-aware Hamiltonian variational auto-encoder", arXiv 2010.11518 ([A]);
Chadebec, Thibeau-Sutre, Burgos, Allassonniere, "Data augmentation in high dimensional low sample size setting using
a geometry-based variational autoencoder", arXiv 2105.00026 ([B]).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import nullcontext

import torch
from torch import Tensor

from monai_genaug.latent import LatentDistribution, RiemannianLatent
from monai_genaug.latent.metric import MetricAt, MetricTerms, pack_products
from monai_genaug.latent.metric_flow import leapfrog, momentum_log_density, standard_momentum
from monai_genaug.losses import diagonal_gaussian_log_density
from monai_genaug.networks.layers.conv_stacks import pooled
from monai_genaug.networks.layers.metric_factor import MetricFactor
from monai_genaug.networks.layers.second_derivatives import ClosedSecondDerivatives
from monai_genaug.networks.vae import VAE

__all__ = ["RHVAE"]


class RHVAE(VAE):
    """Riemannian Hamiltonian VAE of images and label maps, in 2D and 3D.

    The posterior is the image of q(z0|x) N(rho0; 0, G(z0) / beta0) under ``n_leapfrog`` tempered leapfrog steps of the
    Hamiltonian H(z, rho) = -log p(x, z) + 1/2 rho^T G^-1(z) rho + 1/2 log det G(z) ([A], eq. 9-12). The objective is
    the whole lower bound, the momentum's density included, so the metric cannot grow for free. In training the metric
    consists of the batch's own terms; :meth:`fit_generation` stores those of the whole training set in
    :attr:`latent`, from which new codes are drawn.

    Args:
        spatial_dims, spatial_shape, image_channels, mask_classes, latent_dim, channels, likelihood, stack:
            as in :class:`VAE`.
        temperature: T of the metric, in units of z.
        regularization: lambda of the metric.
        n_leapfrog: steps K of the flow.
        leapfrog_step: step size epsilon.
        beta_zero: initial inverse temperature beta_0 in (0, 1] of the momentum.
        max_force: largest norm of the gradient of log p(x, z); a longer one is shortened. The force stays a function
            of z alone, hence the flow stays volume preserving and the bound exact.
        second_order: whether gradients flow through the gradient of log p(x, z) too. False is about twice as fast
            and changes the objective's gradient little, since the step size is small.
        latent: the distribution of new codes; a :class:`RiemannianLatent` by default.

    Raises:
        ValueError: a value that is not allowed.
    """

    temperature: Tensor
    regularization: Tensor

    def __init__(
        self,
        spatial_dims: int,
        spatial_shape: Sequence[int],
        image_channels: int = 1,
        mask_classes: int = 0,
        latent_dim: int = 16,
        channels: Sequence[int] = (16, 32, 64, 64),
        likelihood: str = "gaussian",
        temperature: float = 1.5,
        regularization: float = 0.01,
        n_leapfrog: int = 3,
        leapfrog_step: float = 0.001,
        beta_zero: float = 0.3,
        max_force: float = 1000.0,
        second_order: bool = True,
        latent: LatentDistribution | str | None = None,
        stack: str = "residual",
    ) -> None:
        if not 0.0 < beta_zero <= 1.0:
            raise ValueError(f"beta_zero is {beta_zero}, allowed: (0, 1].")
        if n_leapfrog < 1 or not leapfrog_step > 0.0 or not max_force > 0.0:
            raise ValueError(
                f"n_leapfrog={n_leapfrog}, leapfrog_step={leapfrog_step}, max_force={max_force}: all must be positive."
            )
        if latent is None:
            latent = RiemannianLatent(latent_dim, temperature, regularization)
        super().__init__(
            spatial_dims, spatial_shape, image_channels, mask_classes, latent_dim, channels, likelihood, latent, stack
        )
        self.n_leapfrog, self.leapfrog_step = n_leapfrog, leapfrog_step
        self.beta_zero, self.max_force, self.second_order = beta_zero, max_force, second_order
        self.metric_factor = MetricFactor(channels[-1], latent_dim)
        self.register_buffer("temperature", torch.tensor(float(temperature)))
        self.register_buffer("regularization", torch.tensor(float(regularization)))

    def posterior_and_factors(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Mean and log variance ``(n, d)`` of q(z0|x), and the metric's factors L(x) ``(n, d, d)``."""
        features = self._encoded(x)
        mean, log_variance = self._posterior_of(features)
        with torch.autocast(x.device.type, enabled=False):
            factors: Tensor = self.metric_factor(pooled(features.float()))
        return mean, log_variance, factors

    def elbo(
        self, x: Tensor, observed: Tensor | None = None, generator: torch.Generator | None = None
    ) -> dict[str, Tensor]:
        """See :meth:`VAE.elbo`; ``kl`` is log q(z_K, rho_K|x) - log p(z_K) - log p(rho_K|z_K), one draw of it."""
        mean, log_variance, factors = self.posterior_and_factors(x)
        metric = MetricTerms(mean, pack_products(factors), self.temperature, self.regularization)
        start = mean + torch.exp(0.5 * log_variance) * self._noise(mean, generator)
        at = MetricAt(start.detach(), metric.detached())
        # rho_0 ~ N(0, G(z_0) / beta_0). Tempering multiplies volumes by beta_0^(d/2), which cancels the d/2 log beta_0
        # of its log density.
        gamma = self._noise(mean, generator)
        momentum, log_volume = standard_momentum(start, gamma, metric, at)
        log_q = diagonal_gaussian_log_density(start, mean, log_variance) + log_volume + _standard_log_density(gamma)
        z, momentum, at, image, mask = self._flow(x, observed, start, momentum / math.sqrt(self.beta_zero), metric, at)
        log_p = _standard_log_density(z) + momentum_log_density(z, momentum, metric, at)
        return self._terms(image, mask, log_q - log_p)

    @torch.no_grad()
    def fit_generation(self, x: Sequence[Tensor], held_out: Sequence[Tensor]) -> None:
        """Stores centroids and factors of the whole training set, then fits support, chains and filter."""
        parts = [self.posterior_and_factors(batch) for batch in x]
        centroids, factors = torch.cat([part[0] for part in parts]), torch.cat([part[2] for part in parts])
        if isinstance(self.latent, RiemannianLatent):
            codes = torch.cat([self.posterior(batch)[0] for batch in held_out]) if held_out else None
            self.latent.fit(centroids, factors, codes)
        else:
            self.latent.fit(centroids)
        self._fit_spectral_gain(x, [part[0] for part in parts])

    def _flow(
        self, x: Tensor, observed: Tensor | None, z: Tensor, momentum: Tensor, metric: MetricTerms, at: MetricAt
    ) -> tuple[Tensor, Tensor, MetricAt, Tensor, Tensor]:
        """K tempered generalised leapfrog steps ([A], eq. 10-11, algorithm 1); the last likelihood comes along."""
        half = 0.5 * self.leapfrog_step
        force, image, mask = self._force(x, observed, z)
        for k in range(1, self.n_leapfrog + 1):
            momentum = torch.add(momentum, force, alpha=half)
            z, momentum, at = leapfrog(z, momentum, metric, at, half)
            force, image, mask = self._force(x, observed, z)
            momentum = torch.add(momentum, force, alpha=half) * (self._sqrt_beta(k - 1) / self._sqrt_beta(k))
        return z, momentum, at, image, mask

    def _force(self, x: Tensor, observed: Tensor | None, z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Gradient of log p(x, z) with respect to z, at most ``max_force`` long, and the two log likelihoods."""
        with torch.enable_grad():
            point = z if z.requires_grad else z.detach().requires_grad_()
            with ClosedSecondDerivatives() if self.second_order else nullcontext():
                image, mask = self.log_likelihood(x, point, observed)
            joint = (image + mask).sum() - 0.5 * (point**2).sum()
            (force,) = torch.autograd.grad(joint, point, create_graph=self.second_order, retain_graph=True)
        norm = force.norm(dim=1, keepdim=True)
        return force * (self.max_force / norm.clamp(min=self.max_force)), image, mask

    def _sqrt_beta(self, k: int) -> float:
        """Quadratic tempering ([A], section 3.2): from sqrt(beta_0) at k = 0 to 1 at k = K."""
        start = 1.0 / math.sqrt(self.beta_zero)
        return 1.0 / ((1.0 - start) * (k / self.n_leapfrog) ** 2 + start)


def _standard_log_density(x: Tensor) -> Tensor:
    """Log N(x; 0, I) of vectors ``(n, d)``, in nats."""
    return -0.5 * (x**2 + math.log(2.0 * math.pi)).sum(dim=1)
