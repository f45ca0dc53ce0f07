# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import itertools
import logging
from pathlib import Path
from typing import Any

import pytest
import torch
from ignite.engine import Engine, Events
from torch import nn

from monai_genaug.handlers import BundleExport, TrainingCheckpoint
from monai_genaug.handlers.fidelity import FidelityHandler
from monai_genaug.handlers.snapshot_choice import SnapshotChooser
from monai_genaug.weights import MissingWeightsError, WeightsHashError, read_weights
from tests.engines.toy_gan_run import Run
from tests.engines.toy_gan_run import build as build_gan
from tests.handlers.test_export_of_families import exporter, in_memory
from tests.handlers.test_fidelity import Corners, real_features

VALUES = [(9, 0.9), (5, 0.1), (4, 0.6), (6, 0.7), (3, 0.2), (5.5, 0.8), (4, 0.6), (7, 0.95)]
"""Frechet distance and precision after epochs 1 to 8."""


def run(folder: Path, values: list[tuple[float, float]] = VALUES, **options: Any) -> tuple[SnapshotChooser, nn.Module]:
    """A training in which the network's only weight is the number of the epoch."""
    network = nn.Linear(1, 1, bias=False)
    chooser = SnapshotChooser(folder, network, **options)
    engine = Engine(lambda engine, batch: network.weight.data.fill_(engine.state.epoch))

    def measure(engine: Engine) -> None:
        names = ("frechet_distance", "precision")
        engine.state.metrics.update(zip(names, values[engine.state.epoch - 1], strict=True))

    engine.add_event_handler(Events.EPOCH_COMPLETED, measure)
    chooser.attach(engine)
    engine.run([0], max_epochs=len(values))
    return chooser, network


@pytest.mark.parametrize(
    ("options", "epoch"),
    [
        ({}, 7),  # of epochs 2, 3, 5, 7 the highest precision; 3 and 7 are equal
        ({"shortlist": 5}, 6),
        ({"shortlist": 1}, 5),
        ({"shortlist": 100}, 8),
        ({"last": 2}, 8),
        ({"last": 4, "shortlist": 3}, 6),
        ({"order": (("precision", "max"),)}, 8),
        ({"order": (("frechet_distance", "max"), ("precision", "min")), "shortlist": 2}, 1),
    ],
)
def test_choice(tmp_path: Path, options: dict[str, Any], epoch: int) -> None:
    chooser, network = run(tmp_path, **options)
    assert chooser.best is not None
    assert chooser.best.epoch == epoch
    assert network.weight.item() == epoch


@pytest.mark.parametrize(("shortlist", "last"), list(itertools.product([1, 2, 3, 8], [None, 1, 2, 4, 20])))
def test_what_is_deleted_would_never_have_been_chosen(tmp_path: Path, shortlist: int, last: int | None) -> None:
    rng = torch.Generator().manual_seed(shortlist)
    values = torch.rand(25, 2, generator=rng).mul(8).round().tolist()
    chooser, _ = run(tmp_path, values, shortlist=shortlist, last=last)
    window = list(enumerate(values, start=1))[-(last or 25) :]
    few = sorted(window, key=lambda one: (one[1][0], -one[1][1], -one[0]))[:shortlist]
    assert chooser.best is not None
    assert chooser.best.epoch == min(few, key=lambda one: (-one[1][1], one[1][0], -one[0]))[0]
    if last is None:
        assert len(chooser.candidates) <= shortlist


def test_files_are_those_of_candidates(tmp_path: Path) -> None:
    chooser, _ = run(tmp_path, shortlist=2)
    chooser.tidy(Engine(lambda engine, batch: None))
    names = {chooser.path(snapshot.epoch).name for snapshot in chooser.candidates}
    assert {path.name for path in tmp_path.iterdir()} == names == {"snapshot_0005.pt", "snapshot_0007.pt"}
    assert float(read_weights(tmp_path / "snapshot_0005.pt")["weight"]) == 5


def test_epochs_without_or_with_bad_values_are_no_candidates(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        chooser, network = run(tmp_path, [(float("nan"), 1.0), (float("inf"), 1.0)])
    assert chooser.best is None
    assert network.weight.item() == 2
    assert not list(tmp_path.iterdir())
    assert "epoch 1 is no candidate" in caplog.text
    assert "the last weights stay" in caplog.text
    engine = Engine(lambda engine, batch: None)
    chooser(engine)
    engine.state.metrics["precision"] = 0.5
    with pytest.raises(ValueError, match=r"no \['frechet_distance'\] beside \['precision'\]"):
        chooser(engine)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"order": ()}, "order is"),
        (
            {"order": (("precision", "highest"),)},
            r"'highest'\)\], needed: pairs of a metric and one of \('min', 'max'\)",
        ),
        ({"shortlist": 0}, "shortlist=0"),
        ({"last": 0}, "last=0"),
    ],
)
def test_bad_settings_are_refused(tmp_path: Path, options: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        SnapshotChooser(tmp_path, nn.Linear(1, 1), **options)


def test_a_changed_or_lost_snapshot_is_an_error(tmp_path: Path) -> None:
    chooser, _ = run(tmp_path)
    state = chooser.state_dict()
    other = SnapshotChooser(tmp_path, nn.Linear(1, 1, bias=False))
    other.load_state_dict(state)
    assert other.best == chooser.best
    chooser.path(7).write_bytes(chooser.path(3).read_bytes())
    with pytest.raises(WeightsHashError, match="snapshot_0007"):
        other.restore(Engine(lambda engine, batch: None))
    chooser.path(7).unlink()
    with pytest.raises(MissingWeightsError, match=r"snapshot_0007.pt'\] are gone"):
        SnapshotChooser(tmp_path, nn.Linear(1, 1, bias=False)).load_state_dict(state)


def gan(folder: Path, epochs: int) -> tuple[Run, SnapshotChooser]:
    """A tiny GAN that is measured each epoch, its snapshots, and a checkpoint that knows of them."""
    built = build_gan(folder / "log", epochs)
    chooser = SnapshotChooser(folder, built.generator, shortlist=2, last=4)
    FidelityHandler(built.generator, Corners(), real_features(), interval=1).attach(built.trainer)
    chooser.attach(built.trainer)
    TrainingCheckpoint(folder, built.generator, built.trainer.g_optimizer, others={"snapshots": chooser}).attach(
        built.trainer
    )
    return built, chooser


def test_a_resumed_gan_chooses_as_the_uninterrupted_one(tmp_path: Path) -> None:
    whole, chooser = gan(tmp_path / "whole", 6)
    whole.trainer.run()
    for epochs in (3, 6):
        parted, resumed = gan(tmp_path / "parted", epochs)
        parted.trainer.run()
    assert resumed.state_dict() == chooser.state_dict()
    assert chooser.best is not None
    chosen = read_weights(chooser.path(chooser.best.epoch))
    for run_ in (whole, parted):
        assert all(torch.equal(run_.trainer.averaged.state_dict()[name], chosen[name]) for name in chosen)
    listed = {path.name for path in (tmp_path / "parted").glob("snapshot_*")}
    assert listed == {path.name for path in (tmp_path / "whole").glob("snapshot_*")}


def test_the_export_gets_the_chosen_weights(tmp_path: Path) -> None:
    export: BundleExport = exporter("gan", tmp_path, in_memory(6))
    network = export.network
    chooser = SnapshotChooser(tmp_path / "snapshots", network, (("frechet_distance", "min"),))
    bias = next(name for name, tensor in network.state_dict().items() if name.endswith("bias") and tensor.ndim == 1)
    engine = Engine(lambda engine, batch: network.state_dict()[bias].fill_(engine.state.epoch))
    engine.add_event_handler(
        Events.EPOCH_COMPLETED, lambda e: e.state.metrics.update(frechet_distance=abs(e.state.epoch - 2))
    )
    chooser.attach(engine)
    export.attach(engine)
    engine.run([0], max_epochs=4)
    stored = read_weights(export.folder / "models" / "model.pt")
    assert stored[bias].unique().tolist() == [2.0]
