# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest
import torch

from monai_genaug.experiments.feature_images import FeatureImages
from monai_genaug.experiments.feature_networks import FeatureTraining


def images(axes: int, count: int = 60, seed: int = 0) -> FeatureImages:
    """Dark and bright noise."""
    labels = torch.arange(count) % 2
    noise = torch.randint(0, 60, (count, 1, *[16] * axes), generator=torch.Generator().manual_seed(seed))
    levels = noise + 150 * labels.view(-1, *[1] * (axes + 1))
    return FeatureImages(levels.to(torch.uint8), labels, ("toy: dark", "toy: bright"))


@pytest.mark.parametrize("axes", [2, 3])
def test_classes_are_learnt_and_features_are_standardised(axes: int, tmp_path: Path) -> None:
    before = torch.get_rng_state()
    training = FeatureTraining(images(axes), axes, steps=30)
    training.run(tmp_path / "checkpoint.pt", "toy")
    assert torch.equal(torch.get_rng_state(), before)
    figures = training.figures(images(axes, seed=1))
    assert figures["classes"] == {"toy: dark": 1.0, "toy: bright": 1.0}
    assert len(figures["appearance_error"]) == 3 + training.network.in_channels
    grey = images(axes).images.float().expand(-1, training.network.in_channels, *[-1] * axes) / 255
    with torch.no_grad():
        rows = training.network(grey)
    torch.testing.assert_close(rows.mean(dim=0), torch.zeros(rows.shape[1]), atol=1e-3, rtol=0)
    assert float(rows.var(dim=0, correction=0).max()) == pytest.approx(1.0, rel=1e-2)


def test_a_stopped_run_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("monai_genaug.experiments.feature_networks._SAVED_EVERY", 2)
    whole = FeatureTraining(images(2), 2, steps=6)
    whole.run(tmp_path / "whole.pt", "whole")
    stopped = FeatureTraining(images(2), 2, steps=6)
    original = FeatureTraining._step

    def stop(self: FeatureTraining) -> None:
        if self.done == 5:
            raise KeyboardInterrupt
        original(self)

    with monkeypatch.context() as patch:
        patch.setattr(FeatureTraining, "_step", stop)
        with pytest.raises(KeyboardInterrupt):
            stopped.run(tmp_path / "parted.pt", "parted")
    resumed = FeatureTraining(images(2), 2, steps=6)
    resumed.run(tmp_path / "parted.pt", "parted")
    for name, tensor in whole.network.state_dict().items():
        assert torch.equal(resumed.network.state_dict()[name], tensor), name
    with pytest.raises(ValueError, match=r"\(steps, seed\) \(6, 0\), asked for: \(7, 0\)"):
        FeatureTraining(images(2), 2, steps=7).run(tmp_path / "parted.pt", "other")
