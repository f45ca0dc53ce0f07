# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Hamiltonian Monte Carlo on a density with bounded support, many chains at once, one seed per chain.

Neal, "MCMC using Hamiltonian dynamics", arXiv 1206.1901, section 3. Everything that a chain does follows from its own
seed: stream k of the seed holds the numbers of iteration k (k >= 1), so a chain continued later, or run in another
batch, takes the same way.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from monai_genaug.latent.draws import uniform

__all__ = ["ChainState", "ChainTarget", "advance_chains", "start_chains"]

_STEP_JITTER = 0.3  # relative; a fixed path length resonates with the density's periods (Neal, section 3.2)


class ChainTarget(Protocol):
    """Density on a support, up to a constant factor."""

    def evaluate(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Log density ``(n,)`` at points ``(n, d)``, as if the support had no end, and its gradient ``(n, d)``."""

    def contains(self, z: Tensor) -> Tensor:
        """Whether points ``(n, d)`` lie in the support, boolean ``(n,)``."""


class ChainState(NamedTuple):
    """Where n chains are, with what need not be computed again.

    Attributes:
        position: ``(n, d)``; its dtype is that of the chains.
        log_density: ``(n,)``.
        force: gradient of the log density, ``(n, d)``.
        accepted: number of accepted proposals per chain, ``(n,)``, int64.
    """

    position: Tensor
    log_density: Tensor
    force: Tensor
    accepted: Tensor

    def where(self, condition: Tensor, other: ChainState) -> ChainState:
        """Rows of self where the condition ``(n,)`` holds, of other elsewhere."""
        column = condition[:, None]
        return ChainState(
            torch.where(column, self.position, other.position),
            torch.where(condition, self.log_density, other.log_density),
            torch.where(column, self.force, other.force),
            torch.where(condition, self.accepted, other.accepted),
        )

    def take(self, rows: Tensor) -> ChainState:
        """The chains of some rows, given as indices ``(m,)``."""
        return ChainState(*(field[rows] for field in self))

    def put(self, rows: Tensor, other: ChainState) -> ChainState:
        """A copy with some rows replaced by those of other."""
        return ChainState(*(mine.index_copy(0, rows, theirs) for mine, theirs in zip(self, other, strict=True)))


def start_chains(position: Tensor, target: ChainTarget) -> ChainState:
    """State of chains that have not moved yet, at points ``(n, d)`` in the support."""
    log_density, force = target.evaluate(position)
    return ChainState(position, log_density, force, torch.zeros_like(log_density, dtype=torch.int64))


def advance_chains(
    state: ChainState,
    target: ChainTarget,
    seeds: Sequence[int],
    iterations: range,
    step_size: float,
    n_leapfrog: int,
) -> ChainState:
    """Run all chains through the given iterations.

    Args:
        state: where the chains are before the first of the iterations.
        target: the density.
        seeds: one per chain.
        iterations: consecutive numbers >= 1, which select the random numbers.
        step_size: leapfrog step in units of z; each iteration varies it by up to 30 %.
        n_leapfrog: leapfrog steps per proposal, >= 1.

    Returns:
        The state after the last iteration.
    """
    dim = state.position.shape[1]
    for iteration in iterations:
        numbers = uniform(seeds, dim + 2, stream=iteration)
        momentum = torch.special.ndtri(numbers[:, :dim]).to(state.position)  # first: in float32 a number may become 1
        numbers = numbers.to(state.position)
        step = step_size * (1.0 + _STEP_JITTER * (2.0 * numbers[:, dim : dim + 1] - 1.0))
        proposal, new_momentum = _leapfrog(state, target, momentum, step, n_leapfrog)
        gain = proposal.log_density - state.log_density
        gain = gain - 0.5 * (new_momentum.square().sum(dim=1) - momentum.square().sum(dim=1))
        accept = (numbers[:, dim + 1].log() < gain) & target.contains(proposal.position)  # a NaN gain is rejected
        state = proposal.where(accept, state)
    return state


def _leapfrog(
    state: ChainState, target: ChainTarget, momentum: Tensor, step: Tensor, n_leapfrog: int
) -> tuple[ChainState, Tensor]:
    """Proposed state, counted as accepted, and its momentum; the force at the start is known."""
    position, log_density, force = state.position, state.log_density, state.force
    for _ in range(n_leapfrog):
        momentum = momentum + 0.5 * step * force
        position = position + step * momentum
        log_density, force = target.evaluate(position)
        momentum = momentum + 0.5 * step * force
    return ChainState(position, log_density, force, state.accepted + 1), momentum
