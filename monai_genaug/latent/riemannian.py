# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Sampling from the volume element of a Riemannian latent space.

Chadebec et al., arXiv 2105.00026, section 3.3 ("manifold sampling"): Hamiltonian Monte Carlo with the density

    p(z) proportional to 1_S(z) sqrt(det G^-1(z)).

Without the support S the density is improper: far from all centroids it tends to the constant lambda^(d/2), and a
chain that mixes well drifts off. S holds the points within a fitted radius of a centroid.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from monai_genaug.latent.base import LatentDistribution
from monai_genaug.latent.chain_tuning import tune_length, tune_step_size
from monai_genaug.latent.draws import uniform
from monai_genaug.latent.hmc import ChainState, advance_chains, start_chains
from monai_genaug.latent.metric import RiemannianMetric
from monai_genaug.latent.neighbours import check_codes, nearest_distances, neighbour_spread
from monai_genaug.latent.volume_element import VolumeElement

__all__ = ["ChainReport", "RiemannianLatent", "SupportedVolume"]

_CHAIN_DTYPES = {"float64": torch.float64, "float32": torch.float32}
_BLOCK_ELEMENTS = 2**20  # elements of the largest temporary of a block of chains: 8 MB
_SUPPORT_QUANTILE = 0.99  # of held-out codes that the support holds
_LAST_RESORT = 20  # chains that have not moved run up to this many times the usual length


@dataclass(frozen=True)
class SupportedVolume:
    """The density of manifold sampling, as a target for Hamiltonian Monte Carlo.

    Attributes:
        volume: of the metric.
        radius: largest distance from the nearest centroid inside the support, in units of z.
    """

    volume: VolumeElement
    radius: float

    def evaluate(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """1/2 log det G^-1 ``(n,)`` at points ``(n, d)``, and its gradient ``(n, d)``."""
        return self.volume.evaluate(z)

    def contains(self, z: Tensor) -> Tensor:
        """Whether points ``(n, d)`` lie within the radius of a centroid, boolean ``(n,)``."""
        return self.volume.nearest_squared(z) <= self.radius**2


@dataclass(frozen=True)
class ChainReport:
    """How the chains behind a set of samples behaved.

    Attributes:
        samples: the codes that ``sample`` returns for these seeds, but in float64, ``(n, d)``.
        acceptance: accepted share of all proposals, in [0, 1].
        nearest_distance: distance of each sample to the nearest centroid, ``(n,)``.
        fraction_at_start: share of samples equal to the centroid they started from; 0 by construction.
        log_density: mean log density after each iteration, from the start on, ``(n_steps + 1,)``.
        n_extended: chains that needed more than ``n_steps`` iterations to leave their start.
    """

    samples: Tensor
    acceptance: float
    nearest_distance: Tensor
    fraction_at_start: float
    log_density: Tensor
    n_extended: int


class RiemannianLatent(LatentDistribution):
    """Samples of the volume element of a fitted metric, by one Markov chain per seed.

    A chain starts at a centroid (a training code) chosen by its seed, runs ``n_steps`` iterations, and goes on if it
    has not moved by then: a training code itself is never returned. Chains run in float64: float32 rounding depends on
    the batch's shape and can flip an acceptance, and then a code depends on the others that it was drawn with.

    Args:
        latent_dim: number of dimensions d of z.
        temperature: T of the metric.
        regularization: lambda of the metric.
        n_leapfrog: leapfrog steps per proposal, >= 1.
        chain_dtype: ``"float64"``, or ``"float32"`` for faster chains where codes may depend on their batch.

    Attributes:
        metric: the metric, with the training codes as centroids.
        radius: buffer, largest distance of a sample from its nearest centroid, in units of z.
        step_size: buffer, leapfrog step in units of z.
        n_steps: buffer, iterations of a chain.
        n_leapfrog: buffer, leapfrog steps per iteration.

    Raises:
        ValueError: an argument is out of range.
    """

    supports_truncation = False
    radius: Tensor
    step_size: Tensor
    n_steps: Tensor
    n_leapfrog: Tensor

    def __init__(
        self,
        latent_dim: int,
        temperature: float = 1.5,
        regularization: float = 0.01,
        n_leapfrog: int = 5,
        chain_dtype: str = "float64",
    ) -> None:
        super().__init__(latent_dim)
        if n_leapfrog < 1:
            raise ValueError(f"n_leapfrog must be >= 1, got {n_leapfrog}.")
        if chain_dtype not in _CHAIN_DTYPES:
            raise ValueError(f"chain_dtype must be one of {tuple(_CHAIN_DTYPES)}, got {chain_dtype!r}.")
        self.chain_dtype = chain_dtype
        self._prepared: tuple[tuple[Any, ...], SupportedVolume] | None = None
        self.metric = RiemannianMetric(latent_dim, temperature, regularization)
        self.register_buffer("radius", torch.tensor(0.0))
        self.register_buffer("step_size", torch.tensor(0.0))
        self.register_buffer("n_steps", torch.tensor(0))
        self.register_buffer("n_leapfrog", torch.tensor(n_leapfrog))

    @property
    def is_fitted(self) -> bool:
        """Whether the metric is fitted and the chains are tuned."""
        return len(self.metric.centroids) > 0 and int(self.n_steps) > 0

    def fit(
        self,
        codes: Tensor,
        factors: Tensor | None = None,
        held_out_codes: Tensor | None = None,
        *,
        classes: Tensor | None = None,
    ) -> None:
        """Set the metric, the support and the spread, then tune the chains. Once, after training.

        Args:
            codes: the centroids, codes of the training samples ``(N, d)``, N >= 2, not all equal.
            factors: lower triangular metric factors ``(N, d, d)``; None: the identity for each.
            held_out_codes: codes ``(m, d)`` of samples that were not trained on. The support holds 99 % of them;
                without them each centroid is compared with the other centroids.
            classes: not used.

        Raises:
            ValueError: wrong shapes, values that are not finite, or no distance between the codes.
        """
        check_codes(codes, self.latent_dim, at_least=2)
        if factors is None:
            factors = torch.eye(self.latent_dim).expand(len(codes), -1, -1)
        spread = neighbour_spread(codes)
        if held_out_codes is not None:
            check_codes(held_out_codes, self.latent_dim, at_least=1, name="held_out_codes")
            distances = nearest_distances(held_out_codes, codes)
        else:
            distances = nearest_distances(codes)
        radius = torch.quantile(distances, _SUPPORT_QUANTILE)
        if not radius > 0.0:
            raise ValueError("The held-out codes are equal to centroids: they must come from other samples.")
        self.metric.fit(codes, factors)
        self.spread, self.radius = spread.to(self.spread), radius.to(self.radius)
        self.tune()

    @torch.no_grad()
    def tune(self, seeds: Sequence[int] = range(256)) -> None:
        """Choose step size and number of iterations for the present metric and support, and store them.

        See :mod:`monai_genaug.latent.chain_tuning` for the criteria.

        Args:
            seeds: of the chains that are tried.

        Raises:
            RuntimeError: there is no metric yet.
        """
        if not len(self.metric.centroids) or not self.radius > 0.0:
            raise RuntimeError("RiemannianLatent has no metric and support to tune for: call fit() first.")
        target = self._target()
        start = start_chains(self._starts(seeds, target), target)
        scale, n_leapfrog = float(self.radius), int(self.n_leapfrog)
        step_size = tune_step_size(start, target, seeds, n_leapfrog, scale)
        n_steps = tune_length(start, target, seeds, step_size, n_leapfrog)
        step_size = tune_step_size(start, target, seeds, n_leapfrog, scale, n_steps)
        self.step_size = torch.full_like(self.step_size, step_size)
        self.n_steps = torch.full_like(self.n_steps, n_steps)

    @torch.no_grad()
    def diagnostics(self, seeds: Sequence[int]) -> ChainReport:
        """Sample as :meth:`sample` does and report on the chains.

        Args:
            seeds: one per chain, at least one.

        Returns:
            The report.

        Raises:
            ValueError: a seed is out of range, or there is none.
            RuntimeError: the distribution is not fitted, or a chain could not leave its start.
        """
        if not len(seeds):
            raise ValueError("diagnostics needs at least one seed.")
        self._check_fitted()
        target = self._target()
        start = state = start_chains(self._starts(seeds, target), target)
        trace = [state.log_density.mean()]
        for iteration in range(1, int(self.n_steps) + 1):
            state = self._advance(state, target, seeds, range(iteration, iteration + 1))
            trace.append(state.log_density.mean())
        final = self._leave_start(state, target, seeds)
        return ChainReport(
            samples=final.position,
            acceptance=float(state.accepted.double().mean()) / int(self.n_steps),
            nearest_distance=nearest_distances(final.position, target.volume.centroids),
            fraction_at_start=float((final.position == start.position).all(dim=1).double().mean()),
            log_density=torch.stack(trace),
            n_extended=int((state.accepted == 0).sum()),
        )

    def _draw(self, seeds: Sequence[int], truncation: float) -> Tensor:
        target = self._target()
        largest = max(len(target.volume.centroids), self.latent_dim**2)
        block = max(1, _BLOCK_ELEMENTS // largest)
        parts = [target.volume.centroids.new_empty(0, self.latent_dim)]
        for first in range(0, len(seeds), block):
            some = seeds[first : first + block]
            state = start_chains(self._starts(some, target), target)
            state = self._advance(state, target, some, range(1, int(self.n_steps) + 1))
            parts.append(self._leave_start(state, target, some).position)
        return torch.cat(parts)

    def _target(self) -> SupportedVolume:
        """The density, prepared again only if a number behind it has changed."""
        metric = self.metric
        buffers = (metric.centroids, metric.factors, metric.temperature, metric.regularization, self.radius)
        key = (self.chain_dtype, *((t.data_ptr(), t.device, 0 if t.is_inference() else t._version) for t in buffers))
        prepared = self._prepared
        if prepared is None or prepared[0] != key:
            volume = VolumeElement(metric.terms(_CHAIN_DTYPES[self.chain_dtype]))
            self._prepared = prepared = (key, SupportedVolume(volume, float(self.radius)))
        return prepared[1]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_prepared": None}

    def _starts(self, seeds: Sequence[int], target: SupportedVolume) -> Tensor:
        """The centroids that the seeds choose (stream 0), shape (n, d)."""
        centroids = target.volume.centroids
        chosen = (uniform(seeds, 1).squeeze(1) * len(centroids)).long().clamp_max(len(centroids) - 1)
        return centroids[chosen.to(centroids.device)]

    def _advance(
        self, state: ChainState, target: SupportedVolume, seeds: Sequence[int], iterations: range
    ) -> ChainState:
        return advance_chains(state, target, seeds, iterations, float(self.step_size), int(self.n_leapfrog))

    def _leave_start(self, state: ChainState, target: SupportedVolume, seeds: Sequence[int]) -> ChainState:
        """Continue the chains that have not moved, and only those, until each has."""
        length = int(self.n_steps)
        for iteration in range(length + 1, _LAST_RESORT * length + 1):
            rows = (state.accepted == 0).nonzero().squeeze(1)
            if not len(rows):
                return state
            waiting = [seeds[row] for row in rows.tolist()]
            moved = self._advance(state.take(rows), target, waiting, range(iteration, iteration + 1))
            state = state.put(rows, moved)
        stuck = int((state.accepted == 0).sum())
        if stuck:
            raise RuntimeError(
                f"{stuck} of {len(seeds)} chains rejected all of {_LAST_RESORT * length} proposals and are still at "
                "the training code they started from; they are not returned. Fit the distribution again: its step "
                f"size {float(self.step_size):g} does not suit its metric."
            )
        return state
