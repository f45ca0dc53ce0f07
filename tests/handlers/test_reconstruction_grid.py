# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from ignite.engine import Engine

from monai_genaug.handlers import ReconstructionGridHandler
from monai_genaug.plotting import sample_grid
from tests.engines.toy_autoencoder_run import toy_network
from tests.engines.toy_gan_run import SHAPE, pictures


def run(handler: ReconstructionGridHandler, epochs: int = 1) -> None:
    engine = Engine(lambda engine, batch: None)
    handler.attach(engine)
    engine.run([0], max_epochs=epochs)


def test_pictures_every_interval_and_at_the_end(tmp_path: Path) -> None:
    network, before = toy_network(), torch.get_rng_state()
    run(ReconstructionGridHandler(network, tmp_path, pictures(3), interval=2), 3)
    assert torch.equal(torch.get_rng_state(), before)
    assert network.training
    assert {path.name for path in tmp_path.iterdir()} == {f"epoch_000{epoch}_reconstructed.png" for epoch in (2, 3)}


def test_items_are_beside_what_is_made_of_them(tmp_path: Path) -> None:
    network = toy_network(mask_classes=2)
    items = [{**item, "label": torch.randint(0, 2, (1, *SHAPE))} for item in pictures(3)]
    run(ReconstructionGridHandler(network, tmp_path, items, count=2, mask_key="label"))
    with torch.no_grad():
        made = network.eval().reconstruct(
            *(torch.stack([item[key] for item in items[:2]]) for key in ("image", "label"))
        )
    images = torch.stack([items[0]["image"], made[0, :1], items[1]["image"], made[1, :1]])
    masks = torch.stack(
        [items[0]["label"], made[0, 1:].argmax(0, True), items[1]["label"], made[1, 1:].argmax(0, True)]
    )
    sample_grid({"image": images, "mask": masks}, tmp_path / "expected.png", ["original", "decoded"] * 2)
    written = (tmp_path / "epoch_0001_reconstructed.png").read_bytes()
    assert written == (tmp_path / "expected.png").read_bytes()


def test_nothing_without_items_or_on_another_rank(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(ReconstructionGridHandler(toy_network(), tmp_path, []))
    monkeypatch.setenv("RANK", "1")
    run(ReconstructionGridHandler(toy_network(), tmp_path, pictures(2)))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("arguments", [{"interval": 0}, {"count": 0}])
def test_bad_arguments(tmp_path: Path, arguments: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="1 or more"):
        ReconstructionGridHandler(toy_network(), tmp_path, pictures(2), **arguments)
