# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from monai_genaug.networks.medmnist_cnn import MedMNISTCNN


def seeded(*args: int) -> MedMNISTCNN:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return MedMNISTCNN(*args).eval()


def count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def test_has_the_published_number_of_parameters() -> None:
    assert count(MedMNISTCNN(2, 3, 9)) == 235_225
    rows = [448, 32, 2_320, 32, 9_280, 128, 36_928, 128, 36_928, 128, 131_200, 16_512, 1_161]
    layers = [m for m in MedMNISTCNN().modules() if isinstance(m, (nn.Conv2d, nn.BatchNorm2d, nn.Linear))]
    assert [count(layer) for layer in layers] == rows


def test_28_pixels_pass_through_the_published_layers() -> None:
    network = seeded(2, 3, 9)
    images = torch.rand(2, 3, 28, 28)
    shapes: list[tuple[int, ...]] = []
    x = images
    for layer in network.convolutions:
        plain = nn.MaxPool2d(2) if isinstance(layer, nn.AdaptiveMaxPool2d) else layer
        x = plain(x)
        if isinstance(layer, (nn.Conv2d, nn.MaxPool2d, nn.AdaptiveMaxPool2d)):
            shapes.append(tuple(x.shape[1:]))
    assert shapes == [(16, 26, 26), (16, 24, 24), (16, 12, 12), (64, 10, 10), (64, 8, 8), (64, 8, 8), (64, 4, 4)]
    assert torch.equal(network.to_logits(network.hidden(x)), network(images))


@pytest.mark.parametrize("shape", [(1, 14, 14), (3, 64, 64), (1, 30, 45), (1, 28, 28, 28), (2, 14, 16, 20)])
def test_any_size(shape: tuple[int, ...]) -> None:
    network = seeded(len(shape) - 1, shape[0], 4)
    images = torch.rand(3, *shape)
    features = network.features(images)
    assert features.shape == (3, 128)
    assert features.min() >= 0
    torch.testing.assert_close(network(images), features @ network.to_logits.weight.T + network.to_logits.bias)


def test_a_prediction_does_not_depend_on_the_batch() -> None:
    network, images = seeded(2, 1, 2), torch.rand(4, 1, 28, 28)
    alone = torch.cat([network(image[None]) for image in images])
    torch.testing.assert_close(network(images), alone, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [((1, 1, 2), "spatial_dims is 1, allowed"), ((2, 0, 2), "in_channels is 0"), ((2, 1, 0), "n_classes 0, allowed")],
)
def test_bad_arguments_are_named(arguments: tuple[int, int, int], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        MedMNISTCNN(*arguments)


@pytest.mark.parametrize("images", [torch.rand(1, 2, 28, 28), torch.rand(1, 1, 13, 28), torch.rand(1, 1, 28, 28, 28)])
def test_other_images_are_refused(images: Tensor) -> None:
    with pytest.raises(ValueError, match="needed: "):
        seeded(2, 1, 2)(images)
