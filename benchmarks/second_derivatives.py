# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Training through a layer's gradient, with second derivatives in closed form and as PyTorch composes them.

Each run computes a layer's output, its gradient by the input, and the derivatives of that gradient by all that it
depends on. The sizes are those of the decoders in ``benchmarks/rhvae_training.py``.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from functools import partial

import torch
from torch import Tensor, nn

from benchmarks.timing import Row, alternate, show, time_row
from monai_genaug.networks.layers.second_derivatives import ClosedSecondDerivatives

CASES: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "2D, convolution": (lambda: nn.Conv2d(16, 16, 3, padding=1), (64, 16, 14, 14)),
    "2D, group norm": (lambda: nn.GroupNorm(8, 16), (64, 16, 14, 14)),
    "2D, SiLU": (nn.SiLU, (64, 16, 14, 14)),
    "3D, convolution": (lambda: nn.Conv3d(16, 16, 3, padding=1), (8, 16, 16, 24, 16)),
    "3D, group norm": (lambda: nn.GroupNorm(8, 16), (8, 16, 16, 24, 16)),
    "3D, SiLU": (nn.SiLU, (8, 16, 16, 24, 16)),
}
"""What makes the layer, and the shape of its input."""


def rows(quick: bool = False) -> list[Row]:
    """All layers."""
    return [_row_of(title, quick) for title in CASES]


def _row_of(title: str, quick: bool) -> Row:
    make, shape = CASES[title]
    layer, x = make(), torch.rand(1 if quick else shape[0], *shape[1:], requires_grad=True)
    g, v = torch.rand_like(layer(x), requires_grad=True), torch.rand_like(x)
    runs = {name: partial(_run, layer, x, g, v, name == "closed") for name in ("closed", "composed")}
    seconds = alternate(runs, 1 if quick else 51, warm_up=2)
    return time_row(title, seconds["closed"], "", 1, "PyTorch's", seconds["composed"])


def _run(layer: nn.Module, x: Tensor, g: Tensor, v: Tensor, closed: bool) -> None:
    with ClosedSecondDerivatives() if closed else nullcontext():
        y = layer(x)
    (gradient,) = torch.autograd.grad(y, x, g, create_graph=True)
    torch.autograd.grad(gradient, [x, g, *layer.parameters()], v, allow_unused=True)


if __name__ == "__main__":
    show(rows)
