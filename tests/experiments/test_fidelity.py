# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
import torch
from monai.data import Dataset

from monai_genaug.experiments.fidelity import measure_fidelity, pooled_activations
from monai_genaug.experiments.pca_generator import PCAGenerator
from monai_genaug.experiments.segmentation import dice_scores, train_segmenter
from tests.toy import toy_spec

SHAPE = (32, 48, 32)


def blobs(count: int, seed: int) -> dict[str, torch.Tensor]:
    """Bright ellipsoids of two labels on a dark, noisy ground."""
    rng = torch.Generator().manual_seed(seed)
    axes = torch.meshgrid(*(torch.linspace(-1, 1, size) for size in SHAPE), indexing="ij")
    images, masks = [], []
    for _ in range(count):
        centre, radius = 0.2 * torch.randn(3, generator=rng), 0.4 + 0.1 * torch.rand(1, generator=rng)
        inside = sum((axis - c) ** 2 for axis, c in zip(axes, centre, strict=True)) < radius**2
        mask = inside * (1 + (axes[1] > centre[1]).long())
        images.append((0.2 + 0.3 * mask + 0.03 * torch.randn(SHAPE, generator=rng)).clamp(0, 1))
        masks.append(mask.to(torch.uint8))
    return {"image": torch.stack(images)[:, None], "mask": torch.stack(masks)[:, None]}


@pytest.fixture(scope="module")
def judge() -> torch.nn.Module:
    pairs = blobs(8, 0)
    items = [{"image": i, "label": m} for i, m in zip(pairs["image"], pairs["mask"], strict=True)]
    return train_segmenter(Dataset(items), steps=60, seed=0)


def test_training_reaches_unseen_items_and_repeats(judge: torch.nn.Module) -> None:
    pairs = blobs(8, 0)
    unseen = blobs(4, 9)
    items = [{"image": i, "label": m} for i, m in zip(unseen["image"], unseen["mask"], strict=True)]
    assert dice_scores(judge, items)[:, 2].mean() > 0.8
    train = [{"image": i, "label": m} for i, m in zip(pairs["image"], pairs["mask"], strict=True)]
    before = torch.random.get_rng_state()
    first, second = (train_segmenter(Dataset(train), steps=2, seed=3) for _ in range(2))
    assert torch.equal(before, torch.random.get_rng_state())
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))


def test_features_do_not_depend_on_the_batch(judge: torch.nn.Module) -> None:
    images = blobs(5, 1)["image"]
    torch.testing.assert_close(
        pooled_activations(judge, images, batch_size=5), pooled_activations(judge, images, batch_size=2)
    )


def test_figures_of_a_linear_generator(judge: torch.nn.Module) -> None:
    training, held_out = blobs(14, 2), blobs(8, 3)
    spec = toy_spec(spatial_shape=SHAPE)
    few = measure_fidelity(PCAGenerator(training, spec, 2), training, held_out, judge, n_samples=40)
    many = measure_fidelity(PCAGenerator(training, spec, 12), training, held_out, judge, n_samples=40)
    replay = PCAGenerator(training, spec, 12)
    exact = replay.reconstruct(training)
    assert many.reconstruction_rmse < few.reconstruction_rmse
    assert 0.0 < few.coverage <= 1.0
    assert few.frechet > 0.0
    assert set(few.as_dict()) >= {"mask_agreement", "volume_sd_ratio", "sharpness_ratio"}
    assert (exact["image"] - training["image"]).abs().mean() < 0.03
    assert torch.equal(replay.sample([5, 6])["mask"][1], replay.sample([6])["mask"][0])
