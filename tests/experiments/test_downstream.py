# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest
import torch

from monai_genaug.experiments.downstream import ARMS, ArmData, run_arm, score_arm
from monai_genaug.generators import build_pool
from tests.toy import toy_generator


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> ArmData:
    generator = toy_generator(spatial_shape=(16, 16, 16))
    pool = build_pool(generator, 4, tmp_path_factory.mktemp("arms") / "pool", progress=False)
    samples = generator.sample([100, 101])
    real = [{"image": i, "label": m} for i, m in zip(samples["image"], samples["mask"], strict=True)]
    return ArmData(real, generator, pool)


@pytest.mark.parametrize(("source", "geometric"), ARMS)
def test_every_arm_takes_its_steps_and_scores(data: ArmData, source: str, geometric: bool) -> None:
    steps: list[int] = []
    network = run_arm(source, geometric, data, 2, seed=0, on_step=steps.append)
    assert steps == [1, 2]
    scores = score_arm(network, data.real)
    assert scores.shape == (2, 4)
    torch.testing.assert_close(scores[:, 3], scores[:, :2].mean(dim=1), equal_nan=True)


def test_synthetic_data_alone_need_no_real_item_and_use_the_pool_that_is_there(data: ArmData) -> None:
    before = sorted(Path(data.pool.folder).iterdir())
    first = run_arm("synthetic", True, ArmData([], data.generator, data.pool), 1, seed=0)
    again = run_arm("synthetic", True, data, 1, seed=0)
    assert sorted(Path(data.pool.folder).iterdir()) == before
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), again.parameters(), strict=True))


def test_an_unknown_source_is_named(data: ArmData) -> None:
    with pytest.raises(ValueError, match="'fake', allowed"):
        run_arm("fake", False, data, 1, seed=0)
