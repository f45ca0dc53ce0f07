# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from monai_genaug.generators.channels_last import lay_channels_last
from monai_genaug.networks.layers.doubling import (
    DoublingConv2d,
    DoublingConv3d,
    doubling_conv,
    overlap_add,
    sub_pixel,
)

SHAPES = {2: (4, 7), 3: (4, 3, 6)}
LAYOUTS = {2: torch.channels_last, 3: torch.channels_last_3d}


def transposed(layer: DoublingConv2d | DoublingConv3d, x: Tensor) -> Tensor:
    convolve = functional.conv_transpose2d if x.ndim == 4 else functional.conv_transpose3d
    return convolve(x, layer.weight, layer.bias, stride=2, padding=1)


def layer_and_input(dims: int, out_channels: int) -> tuple[DoublingConv2d | DoublingConv3d, Tensor]:
    torch.manual_seed(0)
    layer = doubling_conv(dims, 5, out_channels).double()
    assert isinstance(layer, DoublingConv2d if dims == 2 else DoublingConv3d)
    return layer, torch.randn(2, 5, *SHAPES[dims], dtype=torch.float64, requires_grad=True)


def assert_transposed_with_derivatives(layer: DoublingConv2d | DoublingConv3d, x: Tensor, made: Tensor) -> None:
    """``made`` from ``x`` is what PyTorch makes, first and second derivatives too."""
    direction = torch.randn(x.shape, dtype=torch.float64)
    results = []
    for y in (made, transposed(layer, x)):
        gradients = torch.autograd.grad(y.square().sum(), [x, *layer.parameters()], create_graph=True)
        second = torch.autograd.grad((gradients[0] * direction).sum(), [x, *layer.parameters()])
        results.append((y, *gradients, *second))
    torch.testing.assert_close(*results, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("out_channels", [1, 3, 8], ids=["grey", "colour", "features"])
@pytest.mark.parametrize("dims", [2, 3])
def test_is_the_transposed_convolution_with_its_derivatives(dims: int, out_channels: int) -> None:
    layer, x = layer_and_input(dims, out_channels)
    assert_transposed_with_derivatives(layer, x, layer(x))


@pytest.mark.parametrize(("dims", "form"), [(2, overlap_add), (2, sub_pixel), (3, sub_pixel)])
@pytest.mark.parametrize("channels_last", [False, True])
def test_every_form_is_for_all_channels(dims: int, form: Callable[..., Tensor], channels_last: bool) -> None:
    layer, x = layer_and_input(dims, 3)
    if channels_last:
        x = x.detach().contiguous(memory_format=LAYOUTS[dims]).requires_grad_()
        lay_channels_last(layer)
    assert_transposed_with_derivatives(layer, x, form(x, layer.weight, layer.bias))


@pytest.mark.parametrize("dims", [2, 3])
def test_parameters_start_and_are_named_as_those_of_pytorch(dims: int) -> None:
    torch.manual_seed(3)
    ours = doubling_conv(dims, 2, 1).state_dict()
    torch.manual_seed(3)
    theirs = (nn.ConvTranspose2d if dims == 2 else nn.ConvTranspose3d)(2, 1, 4, stride=2, padding=1).state_dict()
    torch.testing.assert_close(ours, theirs, rtol=0, atol=0)


def test_works_without_a_bias_and_with_an_output_size() -> None:
    layer, x = layer_and_input(2, 1)
    size = [9, 15]  # one more than twice: which of the sizes that PyTorch allows
    expected = functional.conv_transpose2d(x, layer.weight, layer.bias, stride=2, padding=1, output_padding=1)
    torch.testing.assert_close(layer(x, size), expected)
    layer.bias = None
    torch.testing.assert_close(layer(x), transposed(layer, x))
