# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import recall_score
from torch import Tensor, nn

from monai_genaug.experiments.classification import (
    _augmented,
    classifier_features,
    predict_classes,
    recall_per_class,
    train_classifier,
    untrained_classifier,
)
from monai_genaug.networks.medmnist_cnn import MedMNISTCNN


def bars(count: int, seed: int, size: int = 16, rare: float = 0.5) -> tuple[Tensor, Tensor]:
    """Grey images of a vertical (class 0) or a horizontal (class 1) bar; ``rare`` is the share of class 1."""
    rng = torch.Generator().manual_seed(seed)
    images = 0.3 + 0.05 * torch.randn(count, 1, size, size, generator=rng)
    labels = (torch.rand(count, generator=rng) < rare).long()
    for image, label in zip(images, labels, strict=True):
        start = int(torch.randint(2, size - 4, (1,), generator=rng))
        image[:, :, start : start + 2] += 0.4
        if label:
            image.copy_(image.transpose(1, 2).clone())
    return images.clamp(0, 1), labels


def test_learns_rare_and_frequent_classes_of_unseen_images() -> None:
    images, labels = bars(200, 0, rare=0.1)
    network = train_classifier(images, labels, 2, 80, 0, batch_size=16)
    unseen, truth = bars(100, 1)
    assert recall_per_class(predict_classes(network, unseen), truth, 2).min() > 0.9


def test_repeats_and_leaves_the_global_random_state_alone() -> None:
    images, labels = bars(20, 0)
    before = torch.random.get_rng_state()
    first, second = (train_classifier(images, labels, 2, 3, 5, batch_size=4) for _ in range(2))
    other = train_classifier(images, labels, 2, 3, 6, batch_size=4)
    assert torch.equal(before, torch.random.get_rng_state())
    assert not first.training
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    assert not torch.equal(first.to_logits.weight, other.to_logits.weight)


def test_the_weights_with_the_lowest_held_out_loss_are_kept() -> None:
    images, labels = bars(60, 0)
    swapped = (images, 1 - labels)  # the better the network, the worse it is on these
    steps: list[int] = []
    chosen = train_classifier(images, labels, 2, 60, 0, batch_size=8, held_out=swapped, on_step=steps.append)
    last = train_classifier(images, labels, 2, 60, 0, batch_size=8)
    agreeing = train_classifier(images, labels, 2, 60, 0, batch_size=8, held_out=(images, labels))

    def loss(network: MedMNISTCNN) -> float:
        return float(nn.functional.cross_entropy(network(images).detach(), 1 - labels))

    assert steps == list(range(1, 61))
    assert loss(chosen) < loss(last) - 1.0
    assert loss(agreeing) >= loss(chosen) + 1.0


def test_bytes_and_floats_are_the_same_images() -> None:
    images, labels = bars(12, 0)
    levels = (images * 255).round().to(torch.uint8)
    floats = levels.float() / 255
    first = train_classifier(levels, labels, 2, 2, 0, batch_size=4)
    second = train_classifier(floats, labels, 2, 2, 0, batch_size=4)
    assert torch.equal(first.to_logits.weight, second.to_logits.weight)
    assert torch.equal(classifier_features(first, levels), classifier_features(first, floats))


@pytest.mark.parametrize("flip", [False, True])
def test_augmentation_shifts_by_a_fourteenth_and_mirrors(flip: bool) -> None:
    image = torch.zeros(1, 28, 28)
    image[0, 10, 5] = 1.0
    moved = _augmented(image.repeat(600, 1, 1, 1), flip, torch.Generator().manual_seed(0))
    assert (moved.flatten(1).sum(dim=1) == 1).all()
    near = {(10 + dy, 5 + dx) for dy in range(-2, 3) for dx in range(-2, 3)}
    mirrored = {(y, 27 - x) for y, x in near} if flip else set()
    assert {(y, x) for _, _, y, x in moved.nonzero().tolist()} == near | mirrored


def test_volumes() -> None:
    volumes = torch.rand(6, 1, 14, 16, 14)
    network = train_classifier(volumes, torch.tensor([0, 1] * 3), 2, 2, 0, batch_size=2)
    assert predict_classes(network, volumes).shape == (6,)
    assert classifier_features(network, volumes).shape == (6, 128)


def test_features_do_not_depend_on_the_batch() -> None:
    images, labels = bars(70, 0)
    network = train_classifier(images, labels, 2, 3, 0, batch_size=4)
    alone = torch.cat([classifier_features(network, image[None]) for image in images[60:70]])
    torch.testing.assert_close(classifier_features(network, images)[60:70], alone, rtol=1e-4, atol=1e-5)


def test_random_features_tell_images_apart_and_hold_the_statistics_of_the_images() -> None:
    images, _ = bars(100, 0)
    network = untrained_classifier(images, 3)
    assert torch.equal(
        classifier_features(network, images), classifier_features(untrained_classifier(images, 3), images)
    )
    assert classifier_features(network, images).std(dim=0).max() > 0
    convolution, norm = network.convolutions[0], network.convolutions[1]
    outputs = [convolution(batch).detach() for batch in images.split(64)]
    torch.testing.assert_close(norm.running_mean, torch.stack([o.mean(dim=(0, 2, 3)) for o in outputs]).mean(dim=0))


def test_recall_is_scikit_learns() -> None:
    rng = np.random.default_rng(0)
    labels, found = rng.integers(0, 3, 200), rng.integers(0, 3, 200)
    expected = recall_score(labels, found, average=None)
    recall = recall_per_class(torch.from_numpy(found), torch.from_numpy(labels), 4)
    assert recall[:3].tolist() == pytest.approx(expected)
    assert recall[3].isnan()


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (torch.tensor([0, 1]), r"labels are \(2,\)"),
        (torch.tensor([0, 0, 0]), r"classes \[0\], needed: two or more of 0 to 1"),
        (torch.tensor([0, 1, 2]), r"classes \[0, 1, 2\]"),
        (torch.tensor([-1, 1, 0]), r"classes \[-1, 0, 1\]"),
    ],
)
def test_labels_that_do_not_fit_are_named(labels: Tensor, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        train_classifier(torch.rand(3, 1, 16, 16), labels, 2, 1, 0)


def test_real_images(genaug_data: Path) -> None:
    path = genaug_data / "medmnist" / "pneumoniamnist.npz"
    if not path.is_file():
        pytest.skip(f"set GENAUG_DATA to a folder with medmnist/pneumoniamnist.npz; {genaug_data} has none")
    with np.load(path) as arrays:
        parts = {
            part: (
                torch.from_numpy(arrays[f"{part}_images"])[:, None],
                torch.from_numpy(arrays[f"{part}_labels"])[:, 0],
            )
            for part in ("train", "test")
        }
    network = train_classifier(*parts["train"], 2, 60, 0, batch_size=32)
    assert recall_per_class(predict_classes(network, parts["test"][0]), parts["test"][1], 2).mean() > 0.7
