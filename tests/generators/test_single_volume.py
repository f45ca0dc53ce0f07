# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest
import torch
from monai.data import MetaTensor
from torch import Tensor, nn
from torch.nn import functional
from torch.profiler import ProfilerActivity, profile

from monai_genaug import GeneratorSpec, OutputSpec
from monai_genaug.generators.single_volume import quick_single_volumes
from tests.toy import toy_generator

IMAGE = {"image": OutputSpec("image", 1, (0, 1), "float32")}
SLOW = "aten::slow_conv3d_forward"

pytestmark = pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="PyTorch has no oneDNN here")


def context(dims: int = 3, device: str = "cpu") -> AbstractContextManager[object]:
    return quick_single_volumes(GeneratorSpec("made", IMAGE, (8,) * dims), torch.device(device))


def operations(function: Callable[[], object]) -> set[str]:
    with profile(activities=[ProfilerActivity.CPU]) as profiled:
        function()
    return {event.key for event in profiled.key_averages()}


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv3d(4, 6, 3, padding=1),
        nn.Conv3d(4, 6, 3, bias=False),
        nn.Conv3d(4, 6, (2, 3, 2), (2, 1, 1), (1, 0, 0), (1, 1, 2)),
        nn.Conv3d(4, 6, 3, padding="same"),
        nn.Conv3d(4, 6, 3, padding=1, padding_mode="circular"),
        nn.Conv3d(4, 6, 1),
    ],
)
def test_values_are_those_of_pytorch(layer: nn.Module) -> None:
    x = torch.randn(1, 4, 6, 7, 8)
    layer.requires_grad_(False)
    with context():
        ours = layer(x)
    torch.testing.assert_close(ours, layer(x), rtol=1e-4, atol=1e-5)


def test_a_volume_alone_takes_the_kernel_of_several() -> None:
    layer, x = nn.Conv3d(4, 4, 3).requires_grad_(False), torch.randn(1, 4, 6, 6, 6)
    assert SLOW in operations(lambda: layer(x))
    with context():
        found = operations(lambda: layer(x))
    assert SLOW not in found
    assert "aten::mkldnn_convolution" in found


def test_a_generator_takes_it() -> None:
    generator = toy_generator((8, 8, 8))
    assert SLOW in operations(lambda: generator.network(generator.codes([0])))
    assert SLOW not in operations(lambda: generator.sample([0]))
    sample = generator.sample([0])
    assert SLOW not in operations(lambda: generator.encode(sample))


def test_other_convolutions_stay_as_they_are() -> None:
    weight = torch.randn(4, 4, 3, 3, 3)
    volume = torch.randn(1, 4, 6, 6, 6)
    others: dict[str, Callable[[], Tensor]] = {
        "several": lambda: functional.conv3d(volume.expand(2, -1, -1, -1, -1), weight),
        "no batch": lambda: functional.conv3d(volume[0], weight),
        "float64": lambda: functional.conv3d(volume.double(), weight.double()),
        "subclass": lambda: functional.conv3d(MetaTensor(volume), weight),
        "gradient": lambda: functional.conv3d(volume, weight.requires_grad_()),
        "image": lambda: functional.conv2d(volume[:, :, 0], weight[:, :, 0]),
    }
    for name, other in others.items():
        with context():
            ours = other()
        assert type(ours) is type(other()), name
        torch.testing.assert_close(ours, other(), rtol=0, atol=0)


def test_images_and_other_devices_have_nothing_to_gain() -> None:
    assert type(context()) is not type(context(dims=2))
    assert type(context(dims=2)) is type(context(device="meta"))
