# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Step size and length of Markov chains, chosen once for a density and stored with it."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence

from torch import Tensor

from monai_genaug.latent.hmc import ChainState, ChainTarget, advance_chains

__all__ = ["tune_length", "tune_step_size"]

# Between the efficient acceptance of HMC, .65 in theory and .8 in practice, and waste (Neal, arXiv 1206.1901, 4.4).
_ACCEPTANCE = 0.85
_TOLERANCE = 0.01
_BISECTIONS = 20

_SHORTEST = 5
_LONGEST = 160
_REFERENCE = 4  # a chain is compared with one that is this many times longer
_STANDARD_ERRORS = 2.0


def tune_step_size(
    start: ChainState,
    target: ChainTarget,
    seeds: Sequence[int],
    n_leapfrog: int,
    scale: float,
    n_steps: int = 20,
) -> float:
    """Bisect the step size, on a logarithmic scale, for an acceptance of 0.85.

    Every trial uses the same random numbers. Acceptance tends to 1 with the step size towards 0, and to 0 for steps
    that leave the support.

    Args:
        start: chains that have not moved.
        target: the density.
        seeds: one per chain.
        n_leapfrog: leapfrog steps per iteration.
        scale: a length of the support; steps between 1e-4 and 10 of it are tried.
        n_steps: iterations over which acceptance is measured.

    Returns:
        The step size, in units of z.
    """
    lower, upper = math.log(1e-4 * scale), math.log(10.0 * scale)
    for _ in range(_BISECTIONS):
        middle = 0.5 * (lower + upper)
        end = advance_chains(start, target, seeds, range(1, n_steps + 1), math.exp(middle), n_leapfrog)
        acceptance = float(end.accepted.double().mean()) / n_steps
        if abs(acceptance - _ACCEPTANCE) <= _TOLERANCE:
            break
        lower, upper = (middle, upper) if acceptance > _ACCEPTANCE else (lower, middle)
    return math.exp(middle)


def tune_length(start: ChainState, target: ChainTarget, seeds: Sequence[int], step_size: float, n_leapfrog: int) -> int:
    """Smallest n of 5, 10, 20, ... 160 iterations after which the chains have forgotten their start.

    Two means over the chains must lie within two standard errors of what they are in the same chains after 4 n
    iterations: the log density (high at the start, which is a peak) and the squared distance from the start (it grows
    until the chains are as far from it as from any other point).

    Args:
        start: chains that have not moved, at least two.
        target: the density.
        seeds: one per chain.
        step_size: leapfrog step in units of z.
        n_leapfrog: leapfrog steps per iteration.

    Returns:
        The number of iterations. If none will do it is 160, and a RuntimeWarning says so.
    """
    lengths, seen, state, done = [_SHORTEST], [], start, 0
    while lengths[-1] < _LONGEST * _REFERENCE:
        lengths.append(2 * lengths[-1])
    ahead = int(math.log2(_REFERENCE))
    for length in lengths:
        state = advance_chains(state, target, seeds, range(done + 1, length + 1), step_size, n_leapfrog)
        done = length
        seen.append((state.log_density, (state.position - start.position).square().sum(dim=1)))
        if len(seen) > ahead and all(_agree(a, b) for a, b in zip(seen[-1 - ahead], seen[-1], strict=True)):
            return length // _REFERENCE
    warnings.warn(
        f"Chains of {_LONGEST} iterations have not reached their stationary distribution; samples may stay close to "
        "training codes.",
        RuntimeWarning,
        stacklevel=2,
    )
    return _LONGEST


def _agree(early: Tensor, late: Tensor) -> bool:
    """Whether two paired sets of values have the same mean, within two standard errors of the difference."""
    difference = late - early
    error = difference.std() / math.sqrt(len(difference))
    return bool(difference.mean().abs() <= _STANDARD_ERRORS * error)
