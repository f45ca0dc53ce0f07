# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from ignite.engine import Engine

from monai_genaug.data.decathlon import decathlon_items
from monai_genaug.engines import VAEEvaluator
from monai_genaug.generators import load_generator, read_spec
from monai_genaug.generators.bundle_export import export_bundle
from monai_genaug.handlers import BundleExport, TrainingCheckpoint
from monai_genaug.networks import RHVAE, VAE
from monai_genaug.weights import WeightsError, read_weights, save_weights
from tests.tiny_training import BUNDLE, NETWORK, SHAPE, write_volumes
from tests.toy import toy_network, toy_spec


def network_of(kind: type[VAE], seed: int, **changes: Any) -> tuple[VAE, dict[str, Any]]:
    plain = ("temperature", "regularization", "n_leapfrog", "leapfrog_step", "second_order")
    arguments = {name: value for name, value in NETWORK.items() if kind is RHVAE or name not in plain}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return kind(**arguments), arguments


@pytest.fixture(scope="module")
def items(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    return decathlon_items(write_volumes(tmp_path_factory.mktemp("volumes") / "data", 8))


def exporter(
    kind: type[VAE],
    folder: Path,
    items: list[dict[str, Any]],
    source: Path = BUNDLE,
    name: str = "bundle",
    **changes: Any,
) -> BundleExport:
    network, arguments = network_of(kind, seed=0)
    evaluator = VAEEvaluator("cpu", [], network)
    evaluator.state.best_metric, evaluator.state.best_metric_epoch = -1.25, 3
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    checkpoint = TrainingCheckpoint(folder / "checkpoints", network, optimizer, evaluator)
    return BundleExport(checkpoint, network, arguments, source, folder / name, items[:6], items[6:], seed=7, **changes)


def run(handler: BundleExport) -> Engine:
    engine = Engine(lambda engine, batch: None)
    handler.attach(engine)
    engine.run([0])
    return engine


@pytest.mark.parametrize("kind", [RHVAE, VAE])
def test_exports_the_best_weights_as_they_are_stored(kind: type[VAE], tmp_path: Path, items: list[Any]) -> None:
    handler = exporter(kind, tmp_path, items)
    best, _ = network_of(kind, seed=1)
    handler.checkpoint.folder.mkdir()
    save_weights(best.state_dict(), handler.checkpoint.best_path)
    untouched = {name: tensor.clone() for name, tensor in handler.network.state_dict().items()}
    run(handler)
    assert all(torch.equal(tensor, untouched[name]) for name, tensor in handler.network.state_dict().items())
    stored = read_weights(tmp_path / "bundle" / "models" / "model.pt")
    assert stored["to_posterior.weight"].dtype == torch.float16
    assert torch.equal(stored["to_posterior.weight"], best.to_posterior.weight.detach().half())
    generator = load_generator(tmp_path / "bundle")
    assert generator.sample([1])["image"].shape == (1, 1, *SHAPE)
    assert generator.spec.truncation == (kind is VAE)
    assert read_spec(BUNDLE).warnings
    assert generator.spec.warnings == ()  # they are about the weights that the source has
    provenance = generator.spec.provenance
    assert provenance is not None
    assert provenance.metrics == {"val_elbo": -1.25}
    assert provenance.seed == 7
    assert len(provenance.item_hashes) == 6
    assert len(provenance.subject_hashes) == 3
    for name in ("train.json", "inference.json"):
        config = json.loads((tmp_path / "bundle" / "configs" / name).read_text())
        assert config["network_def"] == f"$monai_genaug.networks.{kind.__name__}(**@network_args)"
        assert config["network_args"] == handler.network_args


@pytest.mark.parametrize(("kind", "stored"), [(RHVAE, 2), (VAE, None)])
def test_centroids_stand_for_several_subjects(kind: type[VAE], stored: int | None, tmp_path: Path) -> None:
    # eight volumes of four subjects: files 2k-1 and 2k show the same one
    volumes = decathlon_items(write_volumes(tmp_path / "data", 10))
    handler = exporter(kind, tmp_path, volumes, min_subjects=2, centroid_width=1.0)
    handler.train_items, handler.val_items = volumes[:8], volumes[8:]
    run(handler)
    state = read_weights(tmp_path / "bundle" / "models" / "model.pt")
    assert len(state.get("latent.metric.centroids", ())) == (stored or 0)
    provenance = load_generator(tmp_path / "bundle").spec.provenance
    assert provenance is not None
    assert len(provenance.item_hashes) == 8


def test_too_few_subjects_for_the_centroids_are_refused_before_training(tmp_path: Path, items: list[Any]) -> None:
    with pytest.raises(ValueError, match="3 subjects, needed for centroids of 2: 4 and more"):
        run(exporter(RHVAE, tmp_path, items, min_subjects=2))
    with pytest.raises(ValueError, match="min_subjects is 0, allowed: 1 and more"):
        exporter(RHVAE, tmp_path, items, min_subjects=0)


def test_an_existing_folder_is_refused_before_training(tmp_path: Path, items: list[Any]) -> None:
    (tmp_path / "bundle").mkdir()
    with pytest.raises(FileExistsError, match="bundle exists"):
        run(exporter(RHVAE, tmp_path, items))
    assert not list((tmp_path / "bundle").iterdir())


def test_the_source_bundle_is_never_written_to(items: list[Any]) -> None:
    with pytest.raises(ValueError, match="inside the bundle"):
        run(exporter(RHVAE, BUNDLE, items, name="retrained"))
    assert not (BUNDLE / "retrained").exists()


def test_leftovers_of_a_killed_export_are_replaced(tmp_path: Path, items: list[Any]) -> None:
    left = tmp_path / ".bundle.incomplete" / "models"
    left.mkdir(parents=True)
    (left / "other.pt").write_bytes(b"torn")
    run(exporter(VAE, tmp_path, items))
    assert {path.name for path in (tmp_path / "bundle" / "models").iterdir()} == {"model.pt"}
    assert not (tmp_path / ".bundle.incomplete").exists()


def test_other_ranks_write_nothing(tmp_path: Path, items: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "1")
    run(exporter(VAE, tmp_path, items))
    assert not list(tmp_path.iterdir())


def test_a_bundle_that_would_not_load_does_not_appear(tmp_path: Path) -> None:
    network = toy_network()
    with pytest.raises(ValueError, match="temperature"):
        export_bundle(network, NETWORK, toy_spec(), BUNDLE, tmp_path / "bundle")
    with torch.no_grad():
        network.to_posterior.weight.fill_(float("nan"))
    with pytest.raises(WeightsError, match="not finite"):
        export_bundle(network, NETWORK, toy_spec(), BUNDLE, tmp_path / "bundle")
    assert not (tmp_path / "bundle").exists()
