# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import monai
import pytest
import torch
from ignite.engine import Engine
from monai.handlers import IgniteMetricHandler
from torch import Tensor

from monai_genaug.metrics import (
    DensityCoverageMetric,
    FeatureMetric,
    FrechetDistanceMetric,
    KernelDistanceMetric,
    PrecisionRecallMetric,
    RealismMetric,
    VendiScoreMetric,
    density_and_coverage,
    frechet_distance,
    kernel_distance,
    precision_and_recall,
    realism_scores,
    vendi_score,
)
from tests.metrics.feature_sets import feature_sets
from tests.ranks import run_ranks

CASES: dict[str, tuple[Callable[[], FeatureMetric], Callable[[Tensor, Tensor], Any]]] = {
    "frechet": (FrechetDistanceMetric, frechet_distance),
    "kernel": (lambda: KernelDistanceMetric(20, 9, 5), lambda x, y: kernel_distance(x, y, 20, 9, 5)),
    "precision": (lambda: PrecisionRecallMetric(4), lambda x, y: precision_and_recall(x, y, 4)),
    "density": (lambda: DensityCoverageMetric(2), lambda x, y: density_and_coverage(x, y, 2)),
    "realism": (lambda: RealismMetric(2), lambda x, y: realism_scores(x, y, 2).tolist()),
    "vendi": (VendiScoreMetric, lambda x, y: vendi_score(y)),
}


def _value(metric: FeatureMetric) -> Any:
    value = metric.aggregate()
    return value.tolist() if isinstance(value, Tensor) else value


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("batch_size", [1, 32, 90])
def test_batches_give_the_value_of_the_function(name: str, batch_size: int) -> None:
    build, function = CASES[name]
    metric, (real, fake) = build(), feature_sets()
    for batch in fake.split(batch_size):
        metric(batch)
    for batch in real.split(batch_size):
        metric(y=batch)
    assert _value(metric) == function(real, fake)
    assert _value(metric) == function(real, fake)


def test_sets_that_come_together_and_are_added_to() -> None:
    metric, (real, fake) = FrechetDistanceMetric(), feature_sets()
    metric(fake[:20], real[:30])
    assert metric.aggregate() == frechet_distance(real[:30], fake[:20])
    metric(list(fake[20:]), [monai.data.MetaTensor(row) for row in real[30:]])
    assert metric.aggregate() == frechet_distance(real, fake)
    assert [part.shape for part in metric.get_buffer()] == [fake.shape, real.shape]
    assert len(metric) == 90
    metric.reset()
    assert len(metric) == 0
    metric(real, fake)
    assert metric.aggregate() == frechet_distance(fake, real)


def test_features_are_copied_detached_and_keep_their_precision() -> None:
    metric, (real, fake) = FrechetDistanceMetric(), feature_sets()
    given = fake.clone().requires_grad_()
    metric(given, real.double() + 1e-9)
    with torch.no_grad():
        given.zero_()
    synthetic, kept = metric.get_buffer()
    assert torch.equal(synthetic, fake)
    assert not synthetic.requires_grad
    assert torch.equal(kept, real.double() + 1e-9)
    metric(fake.bfloat16(), None)
    assert metric.get_buffer()[0].dtype == torch.float32


def test_in_an_ignite_engine() -> None:
    real, fake = feature_sets(70, 70)
    engine = Engine(lambda _, rows: [fake[rows], real[rows]])
    IgniteMetricHandler(FrechetDistanceMetric()).attach(engine, "distance")
    IgniteMetricHandler(VendiScoreMetric(), save_details=False).attach(engine, "vendi")
    engine.run(list(torch.arange(70).split(30)), max_epochs=2)
    assert engine.state.metrics["distance"] == frechet_distance(real, fake)
    assert engine.state.metrics["vendi"] == vendi_score(fake)


def test_what_is_refused() -> None:
    metric, (real, fake) = PrecisionRecallMetric(), feature_sets()
    with pytest.raises(ValueError, match="0 real samples are too few"):
        metric.aggregate()
    with pytest.raises(ValueError, match=r"synthetic features have shape \(12,\)"):
        metric(fake[0])
    with pytest.raises(ValueError, match=r"arguments \['spacing'\] are unknown"):
        metric(fake, spacing=1)
    metric(fake, real)
    with pytest.raises(ValueError, match="real features have size 5, those before have 12"):
        metric(fake, real[:, :5])
    assert metric.aggregate() == precision_and_recall(real, fake)  # nothing of the refused batch is kept
    metric(fake * torch.nan)
    with pytest.raises(ValueError, match="synthetic features contain NaN"):
        metric.aggregate()
    for build in (PrecisionRecallMetric, DensityCoverageMetric, RealismMetric):
        with pytest.raises(ValueError, match="k is 0"):
            build(k=0)
    with pytest.raises(ValueError, match="subset_size is 0"):
        KernelDistanceMetric(subset_size=0)


def _bad(kind: str) -> tuple[Tensor, Tensor]:
    """Real and synthetic features of which no metric of two sets can be computed."""
    real, fake = feature_sets()
    return {
        "too few": (real[:1], fake[:1]),
        "other size": (real[:, :5], fake),
        "constant": (real[:1].repeat(90, 1), fake),
        "NaN": (real, torch.cat([fake, torch.full_like(fake, torch.nan)])),
        "infinity": (torch.cat([real, torch.full_like(real[:2], torch.inf)]), fake),
    }[kind]


MESSAGES = {
    "too few": "1 rows, at least 2|1 real samples are too few for k=",
    "other size": r"feature sizes differ: 5 \(real\) and 12 \(synthetic\)",
    "constant": "real features are constant: all 90 rows are equal",
    "NaN": "synthetic features contain NaN or infinity",
    "infinity": "real features contain NaN or infinity",
}


@pytest.mark.parametrize("name", [name for name in CASES if name != "vendi"])
@pytest.mark.parametrize("kind", MESSAGES)
def test_bad_features_are_refused_by_every_metric_of_two_sets(name: str, kind: str) -> None:
    build, function = CASES[name]
    metric, (real, fake) = build(), _bad(kind)
    with pytest.raises(ValueError, match=MESSAGES[kind]) as found:
        function(real, fake)
    metric(fake, real)
    with pytest.raises(ValueError, match=re.escape(str(found.value))):
        metric.aggregate()
    metric.reset()
    real, fake = feature_sets()
    metric(fake, real)
    assert _value(metric) == function(real, fake)


def test_vendi_looks_at_synthetic_features_alone() -> None:
    metric, (real, fake) = VendiScoreMetric(), feature_sets()
    metric(fake, torch.full_like(real[:, :5], torch.nan))
    assert metric.aggregate() == vendi_score(fake)
    metric(_bad("NaN")[1])
    with pytest.raises(ValueError, match="features contain NaN or infinity"):
        metric.aggregate()
    metric.reset()
    metric(fake[:1].repeat(9, 1))
    assert metric.aggregate() == pytest.approx(1.0)  # a collapsed set has a value


def test_neighbours_are_counted_over_all_batches() -> None:
    real, fake = feature_sets(5, 5)
    for build, needed in ((PrecisionRecallMetric, 4), (DensityCoverageMetric, 6), (RealismMetric, 4)):
        metric = build()
        for row in real[: needed - 1].split(1):
            metric(fake, row)
        with pytest.raises(ValueError, match=f"{needed - 1} real samples are too few for k={needed - 1} neighbours"):
            metric.aggregate()
        metric(y=real[-1:] + 1.0)
        assert metric.aggregate() is not None


def _in_turn(rank: int) -> None:
    """Samples dealt as a distributed sampler does; rank 1 gets fewer."""
    real, fake = feature_sets(91, 71)
    for build, function in CASES.values():
        metric = build()
        metric(fake[rank::2], real[rank::2])
        in_turn = torch.cat([fake[::2], fake[1::2]])  # the order of scores per sample
        assert _value(metric) == pytest.approx(function(real, in_turn), rel=1e-9)


def _one_sided(rank: int) -> None:
    """One rank has nothing of a set, or nothing new."""
    real, fake = feature_sets()
    for build, function in CASES.values():
        metric = build()
        if rank == 1:
            metric(fake.double(), real)
        assert _value(metric) == function(real, fake)
        if rank == 0:
            metric(fake[:8])
        more = torch.cat([fake[:8], fake])
        assert _value(metric) == function(real, more)


def _different_sizes(rank: int) -> None:
    real, fake = feature_sets()
    metric = FrechetDistanceMetric()
    metric(fake, real[:, : 12 - rank])
    with pytest.raises(ValueError, match=r"real features of different ranks have different sizes: \[11, 12\]"):
        metric.aggregate()
    with pytest.raises(ValueError, match="0 rows"):
        VendiScoreMetric().aggregate()


def _bad_on_one_rank(rank: int) -> None:
    """What one rank alone got is refused on both; neither waits for the other, and both can go on."""
    real, fake = feature_sets()
    for name, (build, function) in CASES.items():
        metric = build()
        metric(fake if rank == 0 else fake * torch.nan, real)
        with pytest.raises(ValueError, match="features contain NaN or infinity"):
            metric.aggregate()
        metric.reset()
        if name != "vendi":
            metric(fake[:, :5], real if rank == 0 else None)
            with pytest.raises(ValueError, match=r"feature sizes differ: 12 \(real\) and 5 \(synthetic\)"):
                metric.aggregate()
            metric.reset()
            metric(fake, real[:1].repeat(9, 1))
            with pytest.raises(ValueError, match="real features are constant: all 18 rows"):
                metric.aggregate()
            metric.reset()
        metric(fake[rank::2], real[rank::2])
        assert _value(metric) == pytest.approx(
            function(torch.cat([real[::2], real[1::2]]), torch.cat([fake[::2], fake[1::2]])), rel=1e-9
        )


def _neighbours_of_both_ranks(rank: int) -> None:
    """A rank alone has too few samples, both together have enough."""
    real, fake = feature_sets(6, 8)
    for name, (build, function) in {"precision": CASES["precision"], "density": CASES["density"]}.items():
        metric = build()
        metric(fake[4 * rank :][:4], real[3 * rank :][:3])
        assert _value(metric) == function(real, fake), name
    metric = PrecisionRecallMetric(k=6)
    metric(fake, real[rank:][:1])
    with pytest.raises(ValueError, match="2 real samples are too few for k=6 neighbours, at least 7"):
        metric.aggregate()


@pytest.mark.parametrize(
    "function", [_in_turn, _one_sided, _different_sizes, _bad_on_one_rank, _neighbours_of_both_ranks]
)
def test_two_ranks(function: Callable[[int], None]) -> None:
    run_ranks(function)
