# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from ignite.engine import Engine

from monai_genaug.handlers import SampleGridHandler
from monai_genaug.networks import ConditionalVAE, LatentDecoder
from monai_genaug.plotting import sample_grid
from tests.engines.toy_run import toy_network, volumes
from tests.toy_families import family_arguments, family_generator, family_network, pictures


def test_pictures_every_interval_and_at_the_end(tmp_path: Path) -> None:
    network = toy_network()
    engine = Engine(lambda engine, batch: None)
    SampleGridHandler(network, tmp_path, volumes(3, 0), interval=2, count=4).attach(engine)
    before = torch.get_rng_state()
    engine.run([0], max_epochs=3)
    assert torch.equal(torch.get_rng_state(), before)
    assert network.training
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {f"epoch_000{epoch}{kind}.png" for epoch in (2, 3) for kind in ("", "_reconstructed")}
    assert (tmp_path / "epoch_0002.png").read_bytes() == (tmp_path / "epoch_0003.png").read_bytes()


def test_only_rank_0_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "1")
    engine = Engine(lambda engine, batch: None)
    SampleGridHandler(toy_network(), tmp_path, interval=1).attach(engine)
    engine.run([0], max_epochs=1)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("arguments", [{"interval": 0}, {"count": 0}])
def test_bad_arguments(tmp_path: Path, arguments: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="1 or more"):
        SampleGridHandler(toy_network(), tmp_path, **arguments)  # type: ignore[arg-type]


def finished(network: LatentDecoder, folder: Path, averaged: LatentDecoder | None = None, **arguments: Any) -> None:
    """Runs the handler after one epoch."""
    engine = Engine(lambda engine, batch: None)
    if averaged is not None:
        engine.averaged = averaged
    SampleGridHandler(network, folder, mask_key=None, **arguments).attach(engine)
    engine.run([0], max_epochs=1)


@pytest.mark.parametrize("kind", ["conditional_vae", "per_class_vae", "gan", "conditional_gan"])
def test_samples_go_through_the_classes_in_turn(kind: str, tmp_path: Path) -> None:
    network = family_network(kind).train()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    finished(network, tmp_path, count=5)
    assert network.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    labels = [0, 1, 0, 1, 0] if network.n_classes else None
    samples = family_generator(kind).sample(range(5), labels)
    sample_grid(samples, tmp_path / "expected.png")
    assert (tmp_path / "epoch_0001.png").read_bytes() == (tmp_path / "expected.png").read_bytes()


def test_classes_of_items_reach_their_reconstructions(tmp_path: Path) -> None:
    network, found = family_network("conditional_vae"), []
    for label in (0, 1):
        items = [{"image": image, "y": label} for image in pictures(3)]
        finished(network, tmp_path / str(label), items=items, count=6, class_key="y")
        with torch.no_grad():
            decoded = family_generator("conditional_vae").reconstruct({"image": pictures(3)}, label)["image"]
        pairs = torch.stack([pictures(3), decoded], dim=1).flatten(0, 1)
        sample_grid({"image": pairs}, tmp_path / "expected.png", ["original", "decoded"] * 3)
        found.append((tmp_path / str(label) / "epoch_0001_reconstructed.png").read_bytes())
        assert found[-1] == (tmp_path / "expected.png").read_bytes()
    assert found[0] != found[1]


def test_codes_come_from_the_prior_before_the_latent_is_fitted(tmp_path: Path) -> None:
    network = ConditionalVAE(**family_arguments("conditional_vae", latent="gaussian_mixture"))
    assert not network.latent.is_fitted
    finished(network, tmp_path, count=2)
    assert (tmp_path / "epoch_0001.png").is_file()


def test_the_averaged_network_of_a_trainer_is_shown(tmp_path: Path) -> None:
    network, averaged = family_network("gan"), family_network("gan", seed=1)
    for name, arguments in (("plain", (network,)), ("averaged", (averaged,)), ("both", (network,))):
        finished(*arguments, tmp_path / name, averaged if name == "both" else None, count=2)
    pictures_of = {name: (tmp_path / name / "epoch_0001.png").read_bytes() for name in ("plain", "averaged", "both")}
    assert pictures_of["both"] == pictures_of["averaged"] != pictures_of["plain"]


def test_items_for_a_network_without_encoder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="DCGANGenerator has no encoder"):
        SampleGridHandler(family_network("gan"), tmp_path, [{"image": pictures(1)[0]}])
