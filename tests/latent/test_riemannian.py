# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import dataclasses
import pickle

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

from monai_genaug.latent import RiemannianLatent
from monai_genaug.latent.draws import standard_normal
from monai_genaug.latent.neighbours import nearest_distances


def build(centroids: Tensor, factors: Tensor, temperature: float, held_out: Tensor | None = None) -> RiemannianLatent:
    latent = RiemannianLatent(centroids.shape[1], temperature=temperature, regularization=0.05)
    latent.fit(centroids, factors, held_out)
    return latent


def random_factors(n: int, d: int) -> Tensor:
    values = 0.3 * standard_normal(range(n), d * d, stream=1).view(n, d, d)
    return values.tril(-1) + torch.diag_embed(values.diagonal(dim1=1, dim2=2).exp())


@pytest.fixture(scope="module")
def high() -> RiemannianLatent:
    """Ten dimensions, 60 centroids."""
    held_out = 0.6 * standard_normal(range(100, 140), 10)
    return build(0.6 * standard_normal(range(60), 10), random_factors(60, 10), 1.5, held_out)


def toy(d: int) -> RiemannianLatent:
    """A density with several uneven peaks, whose support has a shape of its own."""
    if d == 1:
        centroids = torch.tensor([[-1.2], [-0.4], [0.5], [1.1]])
        factors = torch.tensor([0.5, 2.0, 1.0, 3.0]).view(4, 1, 1)
    else:
        centroids = torch.tensor([[0.0, 0.0], [1.0, 0.2], [0.3, 1.2], [-0.9, 0.6], [0.0, -1.0]])
        factors = torch.tensor([0.6, 2.0, 1.0, 1.6, 1.0]).view(5, 1, 1) * torch.tensor([[1.0, 0.0], [0.5, 0.8]])
    latent = build(centroids, factors, temperature=0.6)
    # coarse steps, so that only rejections make the samples right
    latent.radius.fill_(0.7)
    latent.step_size.fill_(0.8 if d == 1 else 0.45)
    latent.n_steps.fill_(60)
    return latent


def integrated(latent: RiemannianLatent, edges: np.ndarray, fine: int) -> np.ndarray:
    """Probability of each bin (flattened over the axes), by the midpoint rule on a grid finer than the bins.

    Straight from the formula: a sum over centroids, a determinant, the support by brute force.
    """
    centroids, factors = latent.metric.centroids.double(), latent.metric.factors.double()
    n_bins, d = len(edges) - 1, latent.latent_dim
    width = (edges[-1] - edges[0]) / (n_bins * fine)
    axis = torch.from_numpy(edges[0] + width * (np.arange(n_bins * fine) + 0.5))
    grid = torch.cartesian_prod(*[axis] * d).view(-1, d)
    squared = (grid[:, None] - centroids).square().sum(dim=2)
    weights = torch.exp(-squared / float(latent.metric.temperature) ** 2)
    inverse = torch.einsum("nk,kij,klj->nil", weights, factors, factors) + 0.05 * torch.eye(d)
    density = torch.linalg.det(inverse).sqrt() * (squared.amin(dim=1) <= float(latent.radius) ** 2)
    blocks = density.numpy().reshape(*[n_bins, fine] * d).sum(axis=tuple(range(1, 2 * d, 2)))
    return np.asarray(blocks / blocks.sum()).ravel()


@pytest.mark.parametrize(("d", "n_bins", "fine"), [(1, 30, 400), (2, 10, 60)])
def test_samples_follow_the_integrated_density(d: int, n_bins: int, fine: int) -> None:
    latent, n_samples, edges = toy(d), 6000, np.linspace(-2.0, 2.2, n_bins + 1)
    probability = integrated(latent, edges, fine)
    sample = latent.sample(range(n_samples)).double().numpy()
    observed = np.histogramdd(sample, bins=[edges] * d)[0].ravel()
    assert observed.sum() == n_samples
    assert not observed[probability == 0].any()  # nothing outside the support
    inside = probability > 0
    order = np.argsort(probability[inside])
    # the chi-square approximation needs some counts in every cell: the rarest share one
    rare = max(1, int(np.searchsorted(np.cumsum(n_samples * probability[inside][order]), 10.0)))
    counts, expected = (
        np.append(values[inside][order][rare:], values[inside][order][:rare].sum())
        for values in (observed, n_samples * probability)
    )
    assert stats.chisquare(counts, expected * (n_samples / expected.sum())).pvalue > 1e-3
    assert 0.4 < latent.diagnostics(range(500)).acceptance < 0.8  # otherwise the test could miss a wrong rejection


@pytest.mark.parametrize("size", [1, 7])
def test_samples_do_not_depend_on_batch_or_order(size: int, high: RiemannianLatent) -> None:
    whole = high.sample(range(32))
    parts = torch.cat([high.sample(range(i, min(i + size, 32))) for i in range(0, 32, size)])
    torch.testing.assert_close(parts, whole, rtol=0, atol=1e-6)
    torch.testing.assert_close(high.sample(range(31, -1, -1)).flip(0), whole, rtol=0, atol=1e-6)


def test_blocks_of_bounded_memory_give_the_same_samples(
    high: RiemannianLatent, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = high.sample(range(12))
    monkeypatch.setattr("monai_genaug.latent.riemannian._BLOCK_ELEMENTS", 5 * 100)  # five chains at a time
    torch.testing.assert_close(high.sample(range(12)), whole, rtol=0, atol=1e-6)


def test_report_after_tuning(high: RiemannianLatent) -> None:
    seeds = range(5000, 5128)  # others than those it was tuned with
    report = high.diagnostics(seeds)
    assert 0.8 <= report.acceptance <= 0.9
    assert report.fraction_at_start == 0.0
    assert torch.equal(report.samples.float(), high.sample(seeds))
    assert len(report.log_density) == int(high.n_steps) + 1
    expected = high.metric.at(report.samples).log_volume.mean()
    assert float(report.log_density[-1]) == pytest.approx(float(expected), abs=1e-6 if not report.n_extended else 0.1)
    centroids = high.metric.centroids
    torch.testing.assert_close(report.nearest_distance, nearest_distances(report.samples, centroids))
    assert (report.nearest_distance <= float(high.radius) * (1 + 1e-9)).all()
    assert (report.nearest_distance > 0.01 * float(high.radius)).all()


def test_tuned_chains_have_forgotten_their_start(high: RiemannianLatent) -> None:
    longer = RiemannianLatent(10)
    longer.load_state_dict(high.state_dict())
    longer.n_steps.mul_(8)
    short, long = (latent.diagnostics(range(7000, 7200)).samples for latent in (high, longer))
    for values in (lambda z: high.metric.at(z).log_volume, lambda z: z.norm(dim=1)):
        assert stats.ks_2samp(values(short).numpy(), values(long).numpy()).pvalue > 0.01


def test_a_chain_that_has_not_moved_goes_on() -> None:
    latent = toy(2)
    latent.n_steps.fill_(1)
    latent.step_size.fill_(0.7)
    report = latent.diagnostics(range(200))
    assert 20 < report.n_extended < 180
    assert report.fraction_at_start == 0.0
    sample = latent.sample(range(200))
    assert not (sample[:, None] == latent.metric.centroids).all(dim=2).any()
    assert torch.equal(torch.cat([latent.sample([seed]) for seed in range(20)]), sample[:20])


def test_a_chain_that_cannot_move_is_an_error() -> None:
    latent = toy(2)
    latent.step_size.fill_(1e4)
    latent.n_steps.fill_(5)
    with pytest.raises(RuntimeError, match=r"3 of 3 chains rejected all of 100 proposals.*step size 10000"):
        latent.sample(range(3))


def test_many_dimensions_and_few_codes() -> None:
    latent = RiemannianLatent(32)
    latent.metric.fit(0.35 * standard_normal(range(200), 32), random_factors(200, 32))
    latent.radius.fill_(2.3)
    latent.tune(range(16))
    report = latent.diagnostics(range(64))
    assert report.log_density.isfinite().all()
    assert report.fraction_at_start == 0.0


def test_radius_and_spread() -> None:
    centroids = torch.arange(10.0)[:, None] * 2.0
    held_out = torch.tensor([[0.5], [2.25], [-1.5]])
    factors = torch.ones(10, 1, 1)
    alone, compared = build(centroids, factors, 1.0), build(centroids, factors, 1.0, held_out)
    assert float(alone.radius) == pytest.approx(2.0)
    assert float(compared.radius) == pytest.approx(np.quantile([0.5, 0.25, 1.5], 0.99))
    assert alone.spread.tolist() == pytest.approx([2.0])


def test_fit_is_reproducible_and_reports_are_frozen(high: RiemannianLatent) -> None:
    again = RiemannianLatent(10, temperature=1.5, regularization=0.05)
    again.fit(high.metric.centroids, high.metric.factors, 0.6 * standard_normal(range(100, 140), 10))
    assert all(torch.equal(a, b) for a, b in zip(again.buffers(), high.buffers(), strict=True))
    with pytest.raises(dataclasses.FrozenInstanceError):
        high.diagnostics([1]).acceptance = 1.0  # type: ignore[misc]


@pytest.mark.parametrize(
    ("centroids", "held_out", "message"),
    [
        (torch.zeros(1, 2), None, r"codes must have shape \(n >= 2, 2\), got \(1, 2\)"),
        (torch.ones(4, 2), None, "4 codes are equal"),
        (torch.eye(2), torch.zeros(0, 2), r"held_out_codes must have shape"),
        (torch.eye(2), torch.eye(2), "must come from other samples"),
    ],
)
def test_bad_fit_changes_nothing(centroids: Tensor, held_out: Tensor | None, message: str) -> None:
    latent = RiemannianLatent(2)
    with pytest.raises(ValueError, match=message):
        latent.fit(centroids, torch.eye(2).repeat(len(centroids), 1, 1), held_out)
    assert not latent.is_fitted
    with pytest.raises(RuntimeError, match="call fit"):
        latent.tune()


def test_bad_arguments(high: RiemannianLatent) -> None:
    with pytest.raises(ValueError, match="n_leapfrog must be >= 1, got 0"):
        RiemannianLatent(2, n_leapfrog=0)
    with pytest.raises(ValueError, match="at least one seed"):
        high.diagnostics([])


def test_float32_chains_have_the_same_distribution(high: RiemannianLatent) -> None:
    fast = RiemannianLatent(10, chain_dtype="float32")
    fast.load_state_dict(high.state_dict())
    short, exact = fast.diagnostics(range(300)), high.diagnostics(range(1000, 1300))
    assert short.samples.dtype == torch.float32
    assert short.fraction_at_start == 0.0
    volumes = [high.metric.at(report.samples.double()).log_volume for report in (short, exact)]
    assert stats.ks_2samp(*(values.numpy() for values in volumes)).pvalue > 0.01


def test_unknown_chain_dtype_is_refused() -> None:
    with pytest.raises(ValueError, match=r"chain_dtype must be one of \('float64', 'float32'\), got 'float16'"):
        RiemannianLatent(2, chain_dtype="float16")


def test_a_changed_metric_is_noticed() -> None:
    latent = toy(2)
    before = latent.sample(range(8))
    assert torch.equal(latent.sample(range(8)), before)
    latent.metric.temperature.mul_(1.5)
    warmer = latent.sample(range(8))
    assert not torch.equal(warmer, before)
    latent.load_state_dict(toy(2).state_dict())
    assert torch.equal(latent.sample(range(8)), before)


def test_pickling_carries_the_buffers_alone() -> None:
    latent = toy(2)
    size = len(pickle.dumps(latent))
    before = latent.sample(range(4))
    assert len(pickle.dumps(latent)) == size
    assert torch.equal(pickle.loads(pickle.dumps(latent)).sample(range(4)), before)
