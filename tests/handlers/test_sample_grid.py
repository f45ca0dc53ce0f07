# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from ignite.engine import Engine

from monai_genaug.handlers import SampleGridHandler
from tests.engines.toy_run import toy_network, volumes


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
