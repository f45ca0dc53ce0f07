# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Manifold sampling beside pythae's ``RHVAESampler``, on one metric.

Identical settings: 100 iterations of 15 leapfrog steps of 0.03 for 100 chains; pythae runs some of its 100 iterations,
scaled. Equal mixing: ours with the step size and length that ``tune`` chose, after which the mean log density has
reached its stationary value and no chain is at its start; pythae's with its defaults, which the note says how far it
got: its force is not the gradient of its density (relative error 0.9 in 10 dimensions), so that proposals are rejected.
The bare matrix products are those of one evaluation of density and force, times the evaluations.

``python -m benchmarks.riemannian_sampling [--quick]``; needs pythae (``pip install monai-genaug[bench]``).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor

from benchmarks.timing import Row, alternate, rate_row, show
from monai_genaug.latent import RiemannianLatent
from monai_genaug.latent.draws import standard_normal

DIM, CHAINS = 10, 100
ITERATIONS, LEAPFROG, STEP = 100, 15, 0.03  # pythae's defaults
TEMPERATURE, REGULARIZATION = 1.5, 0.01


@dataclass(frozen=True)
class Case:
    """A number of centroids, the bars, and how many of its 100 iterations pythae runs."""

    centroids: int
    peer_iterations: int
    identical: float
    equal_mixing: float
    identical_float32: float
    equal_mixing_float32: float


CASES = (Case(500, 10, 15, 400, 25, 780), Case(5000, 2, 40, 1500, 120, 4900))
QUICK = (Case(20, 1, 0, 0, 0, 0),)


def rows(quick: bool = False) -> list[Row]:
    """All cases."""
    return [row for case in (QUICK if quick else CASES) for row in _rows_of(case, 1 if quick else 5)]


def fitted(count: int, chain_dtype: str = "float64") -> RiemannianLatent:
    """Codes as a trained encoder gives them, standard normal in most axes, and random factors."""
    codes = standard_normal(range(count), DIM).float()
    factors = 0.3 * standard_normal(range(count), DIM * DIM, stream=1).view(count, DIM, DIM).float()
    latent = RiemannianLatent(DIM, TEMPERATURE, REGULARIZATION, chain_dtype=chain_dtype)
    latent.fit(codes, factors.tril(-1) + torch.diag_embed(factors.diagonal(dim1=1, dim2=2).exp()))
    return latent


def _rows_of(case: Case, repeats: int) -> list[Row]:
    tuned = {dtype: fitted(case.centroids, dtype) for dtype in ("float64", "float32")}
    identical = {dtype: _with_pythaes_settings(latent) for dtype, latent in tuned.items()}
    runs: dict[str, Callable[[], object]] = {}
    for dtype in tuned:
        runs[f"tuned {dtype}"] = lambda latent=tuned[dtype]: latent.sample(range(CHAINS))
        runs[f"identical {dtype}"] = lambda latent=identical[dtype]: latent.sample(range(CHAINS))
        runs[f"products {dtype}"] = _bare_products(identical[dtype])
    if find_spec("pythae"):
        sampler = pythae_sampler(tuned["float64"], case.peer_iterations)
        runs["pythae"] = lambda: sampler.hmc_sampling(CHAINS)
    seconds = alternate(runs, repeats)
    peer = [s * ITERATIONS / case.peer_iterations for s in seconds.get("pythae", ())]
    name = f"{case.centroids:,} centroids"
    missing = "" if peer else "pythae is not installed"
    made: list[Row] = []
    for dtype, of_identical, of_mixing in (
        ("float64", case.identical, case.equal_mixing),
        ("float32", case.identical_float32, case.equal_mixing_float32),
    ):
        same, mixed = seconds[f"identical {dtype}"], seconds[f"tuned {dtype}"]
        mixing = missing or _mixing_note(tuned[dtype], case)
        made += [
            rate_row(
                f"{name}, {dtype}, identical settings", same, "sample", CHAINS, "pythae", peer, of_identical, missing
            ),
            rate_row(f"{name}, {dtype}, equal mixing", mixed, "sample", CHAINS, "pythae", peer, of_mixing, mixing),
        ]
        products = [s * ITERATIONS * LEAPFROG for s in seconds[f"products {dtype}"]]
        bar = 0.5 if dtype == "float32" and case.centroids >= 5000 else None
        made.append(
            rate_row(f"{name}, {dtype}, identical settings", same, "sample", CHAINS, "bare products", products, bar)
        )
    return made


def pythae_sampler(latent: RiemannianLatent, iterations: int) -> Any:
    """pythae's sampler on the metric of ours."""
    from pythae import models, samplers
    from pythae.models.rhvae.rhvae_utils import create_inverse_metric, create_metric

    model = models.RHVAE(models.RHVAEConfig(input_dim=(1, 4, 4), latent_dim=DIM)).eval()
    factors = latent.metric.factors
    model.M_tens, model.centroids_tens = factors @ factors.transpose(1, 2), latent.metric.centroids
    model.temperature.data.fill_(float(latent.metric.temperature))
    model.lbd.data.fill_(float(latent.metric.regularization))
    model.G, model.G_inv = create_metric(model), create_inverse_metric(model)
    config = samplers.RHVAESamplerConfig(mcmc_steps_nbr=iterations, n_lf=LEAPFROG, eps_lf=STEP)
    return samplers.RHVAESampler(model=model, sampler_config=config)


def _with_pythaes_settings(tuned: RiemannianLatent) -> RiemannianLatent:
    latent = RiemannianLatent(DIM, TEMPERATURE, REGULARIZATION, LEAPFROG, tuned.chain_dtype)
    latent.load_state_dict(tuned.state_dict())
    latent.step_size.fill_(STEP)
    latent.n_steps.fill_(ITERATIONS)
    latent.n_leapfrog.fill_(LEAPFROG)
    return latent


def _bare_products(latent: RiemannianLatent) -> Callable[[], object]:
    """The four matrix products of one evaluation: distances, sum of the M_i, traces, and the pull."""
    dtype = torch.float64 if latent.chain_dtype == "float64" else torch.float32
    count, stored = len(latent.metric.centroids), DIM * (DIM + 1) // 2
    tables = [torch.ones(DIM + 2, count), torch.ones(count, stored), torch.ones(stored, count)]
    left = [torch.ones(CHAINS, size, dtype=dtype) for size in (DIM + 2, count, stored, count)]
    right = [table.to(dtype) for table in (*tables, torch.ones(count, DIM + 1))]
    return lambda: [a @ b for a, b in zip(left, right, strict=True)]


def _mixing_note(latent: RiemannianLatent, case: Case) -> str:
    """How far both chains got from their starts: mean log density beside its stationary value."""
    report, seeds = latent.diagnostics(range(CHAINS)), range(CHAINS)
    longer = RiemannianLatent(DIM, chain_dtype=latent.chain_dtype)
    longer.load_state_dict(latent.state_dict())
    longer.n_steps.mul_(4)
    stationary, at_start = float(longer.diagnostics(seeds).log_density[-1]), float(report.log_density[0])
    reached = float(report.log_density[-1])
    peer = pythae_sampler(latent, case.peer_iterations)
    with torch.no_grad():
        torch.manual_seed(0)
        theirs = peer.hmc_sampling(CHAINS)
    still = float((theirs[:, None] == latent.metric.centroids).all(dim=2).any(dim=1).double().mean())
    of_peer = float(_mean_log_volume(latent, theirs))
    return (
        f"mean log density {at_start:.1f} at the centroids, {stationary:.1f} stationary; "
        f"ours {reached:.1f} after {int(latent.n_steps)} × {int(latent.n_leapfrog)} steps, "
        f"{report.fraction_at_start:.0%} at their start; pythae {of_peer:.1f} after "
        f"{case.peer_iterations} × {LEAPFROG}, {still:.0%} at their start"
    )


def _mean_log_volume(latent: RiemannianLatent, z: Tensor) -> Tensor:
    return latent.metric.at(z.double()).log_volume.mean()


if __name__ == "__main__":
    show(rows)
