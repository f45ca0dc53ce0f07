# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest
import torch
from ignite.engine import Engine, Events
from torch import Tensor

from monai_genaug.generators import SampleGenerator, derive_seed
from monai_genaug.handlers import EpochCsvLog
from monai_genaug.handlers.fidelity import FidelityHandler
from monai_genaug.latent.draws import standard_normal
from monai_genaug.metrics import FeatureExtractor, feature_metric_values
from tests.engines.toy_gan_run import build as build_gan
from tests.engines.toy_run import build as build_vae
from tests.engines.toy_run import toy_network as build_network
from tests.ranks import run_ranks
from tests.toy_families import family_generator, family_network, pictures

NAMES = ("frechet_distance", "precision", "recall")


class Corners(FeatureExtractor):
    """Means of the quarters, or eighths, of an image."""

    def __init__(self, axes: int = 2) -> None:
        super().__init__("corners", axes, 1, (8,) * axes, 2**axes, 16)

    def features(self, x: Tensor) -> Tensor:
        pool = torch.nn.functional.adaptive_avg_pool2d if x.ndim == 4 else torch.nn.functional.adaptive_avg_pool3d
        return pool(x, 2).flatten(1)


def real_features(axes: int = 2) -> Tensor:
    return Corners(axes)(pictures(30, (8,) * axes))


def measured(handler: FidelityHandler, epochs: int = 1) -> dict[str, Any]:
    engine = Engine(lambda engine, batch: None)
    handler.attach(engine)
    engine.run([0], max_epochs=epochs)
    return engine.state.metrics


@pytest.mark.parametrize("kind", ["gan", "conditional_gan", "conditional_vae", "joint_vae"])
def test_values_are_those_of_samples_with_fixed_seeds(kind: str) -> None:
    network, generator = family_network(kind), family_generator(kind)
    before = torch.get_rng_state()
    metrics = measured(FidelityHandler(network.train(), Corners(), real_features(), count=20, seed=3, batch_size=7))
    assert torch.equal(torch.get_rng_state(), before)
    assert network.training
    seeds = [derive_seed("fidelity", 3, i) for i in range(20)]
    classes = [i % 2 for i in range(20)] if network.n_classes else None
    samples = generator.sample(seeds, classes)["image"]
    assert metrics == pytest.approx(feature_metric_values(real_features(), Corners()(samples), NAMES), rel=1e-4)


def test_codes_come_from_the_prior_until_a_distribution_is_fitted() -> None:
    network = build_network()
    assert not network.latent.is_fitted
    handler = FidelityHandler(network, Corners(3), real_features(3), count=20)
    z = standard_normal([derive_seed("fidelity", 0, i) for i in range(20)], network.latent_dim).float()
    with torch.no_grad():
        images = network.eval()(z)[:, :1]
    assert measured(handler) == pytest.approx(feature_metric_values(real_features(3), Corners(3)(images), NAMES))


def test_a_function_that_makes_generators_is_the_same() -> None:
    generator, asked = family_generator("conditional_gan"), []

    def make(engine: Engine) -> SampleGenerator:
        asked.append(engine.state.epoch)
        return generator

    network = family_network("conditional_gan")
    for classes in (None, [1, 1, 0]):
        options: dict[str, Any] = {"metrics": ("frechet_distance", "vendi_score"), "classes": classes}
        by_network = measured(FidelityHandler(network, Corners(), real_features(), **options))
        assert measured(FidelityHandler(make, Corners(), real_features(), **options)) == pytest.approx(by_network)
    assert asked == [1, 1]


def test_every_few_epochs_and_the_last_one_and_nothing_in_between() -> None:
    handler = FidelityHandler(family_network("gan"), Corners(), real_features(), interval=3)
    engine, seen = Engine(lambda engine, batch: None), {}
    handler.attach(engine)
    engine.add_event_handler(Events.EPOCH_COMPLETED, lambda e: seen.update({e.state.epoch: dict(e.state.metrics)}))
    engine.state.metrics["other"] = 1.0
    engine.run([0], max_epochs=5)
    assert [epoch for epoch, metrics in seen.items() if set(NAMES) <= metrics.keys()] == [3, 5]
    assert all(set(metrics) - set(NAMES) == {"other"} for metrics in seen.values())
    assert seen[3] == seen[5]


def test_a_gan_logs_its_averaged_generator(tmp_path: Path) -> None:
    run = build_gan(tmp_path, 4)
    handler = FidelityHandler(run.generator, Corners(), real_features(), interval=2, classes=[0, 1])
    handler.attach(run.trainer)
    EpochCsvLog(tmp_path / "fidelity.csv", evaluator=run.trainer).attach(run.trainer)
    run.trainer.run()
    with (tmp_path / "fidelity.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [bool(row["frechet_distance"]) for row in rows] == [False, True, False, True]
    assert float(rows[1]["frechet_distance"]) != float(rows[3]["frechet_distance"])
    engine = Engine(lambda engine, batch: None)
    engine.averaged = run.trainer.averaged
    handler(engine)
    assert float(rows[3]["frechet_distance"]) == pytest.approx(engine.state.metrics["frechet_distance"], rel=1e-4)


def test_a_vae_logs_beside_its_validation(tmp_path: Path) -> None:
    run = build_vae(tmp_path, 2)
    handler = FidelityHandler(run.network, Corners(3), real_features(3), interval=2, evaluator=run.evaluator)
    handler.attach(run.trainer)
    EpochCsvLog(tmp_path / "fidelity.csv", evaluator=run.evaluator).attach(run.trainer)
    run.trainer.run()
    with (tmp_path / "fidelity.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [bool(row["precision"]) for row in rows] == [False, True]
    assert all(row["val_elbo"] for row in rows)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"metrics": ("fid",)}, "'fid'.* allowed: a list of frechet_distance"),
        ({"interval": 0}, "interval=0"),
        ({"count": 1}, "count=1"),
        ({"batch_size": 0}, "batch_size=0"),
        ({"classes": [0, 1]}, r"classes are \[0, 1\], but DCGANGenerator has none"),
        ({"real_features": torch.zeros(9, 3)}, "real features have size 3, those of 'corners' 4"),
        ({"real_features": torch.full((9, 4), torch.nan)}, "NaN"),
    ],
)
def test_bad_settings_are_refused(changes: dict[str, Any], text: str) -> None:
    arguments = {"source": family_network("gan"), "extractor": Corners(), "real_features": real_features(), **changes}
    with pytest.raises(ValueError, match=text):
        FidelityHandler(**arguments)


def _on_ranks(rank: int, expected: dict[str, float]) -> None:
    assert measured(FidelityHandler(family_network("gan"), Corners(), real_features(), count=21)) == pytest.approx(
        expected
    )


def test_ranks_share_the_samples_and_get_the_same_values() -> None:
    alone = measured(FidelityHandler(family_network("gan"), Corners(), real_features(), count=21))
    run_ranks(_on_ranks, alone)
