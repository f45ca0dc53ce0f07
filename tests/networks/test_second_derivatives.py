# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext

import pytest
import torch
from monai.data import MetaTensor
from torch import Tensor, nn
from torch.autograd import gradgradcheck
from torch.nn import functional

from monai_genaug.networks.layers.second_derivatives import ClosedSecondDerivatives

LAYERS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "conv2d": (lambda: nn.Conv2d(4, 6, 3, padding=1), (2, 4, 5, 6)),
    "conv2d without bias": (lambda: nn.Conv2d(4, 6, 3, bias=False), (2, 4, 5, 6)),
    "conv2d with steps": (lambda: nn.Conv2d(4, 6, (3, 2), (2, 1), (1, 0), (1, 2), groups=2), (2, 4, 6, 5)),
    "conv3d": (lambda: nn.Conv3d(2, 3, 4, stride=2, padding=1), (2, 2, 4, 6, 4)),
    "group norm": (lambda: nn.GroupNorm(2, 6), (3, 6, 2, 5)),
    "group norm, 3d": (lambda: nn.GroupNorm(4, 4), (2, 4, 2, 3, 2)),
    "silu": (nn.SiLU, (3, 7)),
}


def layer_and_input(name: str) -> tuple[nn.Module, Tensor]:
    torch.manual_seed(0)
    make, shape = LAYERS[name]
    layer = make().double()
    for parameter in layer.parameters():
        nn.init.normal_(parameter)
    return layer, torch.randn(shape, dtype=torch.float64, requires_grad=True)


def closed(layer: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    with ClosedSecondDerivatives():
        y = layer(x)
    assert type(y.grad_fn).__name__ in ("_ConvolutionByInputBackward", "_GroupNormByInputBackward", "_SiLUBackward")
    return y


def derivatives(y: Tensor, x: Tensor, layer: nn.Module) -> list[Tensor]:
    """The value, its first derivatives, and those of the one by x along a direction."""
    parameters = list(layer.parameters())
    scale = torch.randn(y.shape, generator=torch.Generator().manual_seed(1), dtype=y.dtype)
    direction = torch.randn(x.shape, generator=torch.Generator().manual_seed(2), dtype=x.dtype)
    loss = (scale * y.sin()).sum()
    first = torch.autograd.grad(loss, [x, *parameters], retain_graph=True)
    (by_input,) = torch.autograd.grad(loss, x, create_graph=True)
    second = torch.autograd.grad((by_input * direction).sum(), [x, *parameters])
    return [y, *first, by_input, *second]


@pytest.mark.parametrize("name", LAYERS)
def test_values_and_derivatives_are_those_of_pytorch(name: str) -> None:
    layer, x = layer_and_input(name)
    ours, theirs = derivatives(closed(layer, x), x, layer), derivatives(layer(x), x, layer)
    torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("name", LAYERS)
def test_second_derivatives_are_those_of_finite_differences(name: str) -> None:
    layer, x = layer_and_input(name)
    assert gradgradcheck(lambda x: closed(layer, x), x)


@pytest.mark.parametrize("name", [name for name in LAYERS if name != "silu"])
def test_a_graph_of_the_gradient_by_parameters_is_refused(name: str) -> None:
    layer, x = layer_and_input(name)
    loss = closed(layer, x).square().sum()
    with pytest.raises(RuntimeError, match="only the gradient by a layer's input"):
        loss.backward(create_graph=True, retain_graph=True)
    loss.backward()
    assert x.grad is not None


def test_parameters_that_are_not_trained() -> None:
    layer, x = layer_and_input("conv2d")
    layer.requires_grad_(False)
    torch.testing.assert_close(derivatives(closed(layer, x), x, nn.Module()), derivatives(layer(x), x, nn.Module()))


def test_a_network_of_all_layers_that_keeps_its_graph() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.ConvTranspose2d(3, 8, 4, stride=2, padding=1),
        nn.GroupNorm(4, 8),
        nn.SiLU(),
        nn.Conv2d(8, 1, 3, padding=1),
        nn.ReLU(inplace=True),
    ).double()
    x = torch.randn(2, 3, 4, 4, dtype=torch.float64, requires_grad=True)
    results = []
    for context in (True, False):
        network.zero_grad()
        with ClosedSecondDerivatives() if context else nullcontext():
            y = network(x)
        (force,) = torch.autograd.grad(y.square().sum(), x, create_graph=True)
        (y.sum() + force.square().sum()).backward()  # goes through the graph a second time
        results.append([parameter.grad.clone() for parameter in network.parameters() if parameter.grad is not None])
    assert len(results[0]) == 6
    torch.testing.assert_close(*results, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("name", LAYERS)
def test_a_third_derivative_is_refused(name: str) -> None:
    layer, x = layer_and_input(name)
    (first,) = torch.autograd.grad(closed(layer, x).square().sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="and only once"):
        torch.autograd.grad(first.square().sum(), x, create_graph=True)


def test_what_has_no_closed_form_stays_as_it_is() -> None:
    image, weight = torch.randn(2, 4, 6, 6, requires_grad=True), torch.randn(4, 4, 3, 3)
    cases: dict[str, Callable[[Tensor], Tensor]] = {
        "no gradient": lambda x: functional.silu(x.detach()),
        "in place": lambda x: functional.silu(x * 1.0, inplace=True),
        "named padding": lambda x: functional.conv2d(x, weight, padding="same"),
        "transposed": lambda x: functional.conv_transpose2d(x, weight),
        "one image": lambda x: functional.conv2d(x[0], weight),
        "no weight": lambda x: functional.group_norm(x, 2),
        "another type": lambda x: functional.silu(x.bfloat16()),
        "a subclass": lambda x: functional.silu(MetaTensor(x)),
        "another function": torch.sigmoid,
    }
    for name, function in cases.items():
        with ClosedSecondDerivatives():
            ours = function(image)
        assert type(ours.grad_fn) is type(function(image).grad_fn), name
        torch.testing.assert_close(ours, function(image))
    with ClosedSecondDerivatives(), torch.autocast("cpu", torch.bfloat16):
        assert functional.conv2d(image, weight).dtype == torch.bfloat16
    with ClosedSecondDerivatives(), torch.no_grad():
        assert functional.silu(image).grad_fn is None
