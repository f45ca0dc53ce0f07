# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""The transposed convolution that doubles an image, as a sub-pixel convolution and as PyTorch's own operation.

``DoublingConv2d`` and ``DoublingConv3d`` take the sub-pixel form for up to 4 output channels; rows of 16 channels show
why not for more.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from benchmarks.timing import Row, alternate, show, time_row
from monai_genaug.networks.layers.doubling import doubling_conv, sub_pixel

CASES = {
    "2D, 32 to 1 channels": (32, 32, 1, (16, 16)),
    "2D, 32 to 3 channels": (32, 32, 3, (32, 32)),
    "2D, 32 to 16 channels": (32, 32, 16, (16, 16)),
    "3D, 16 to 1 channels": (8, 16, 1, (16, 24, 16)),
    "3D, 24 to 4 channels": (4, 24, 4, (24, 32, 24)),
    "3D, 32 to 16 channels": (8, 32, 16, (8, 12, 8)),
}
"""Items, input channels, output channels, size of the input."""


def rows(quick: bool = False) -> list[Row]:
    """All cases, values alone and with gradients."""
    return [row for title in CASES for row in _rows_of(title, quick)]


def _rows_of(title: str, quick: bool) -> list[Row]:
    count, before, after, size = CASES[title]
    layer = doubling_conv(len(size), before, after)
    weight, bias = layer.parameters()
    x = torch.rand(1 if quick else count, before, *size, requires_grad=True)
    convolve = torch.conv_transpose2d if len(size) == 2 else torch.conv_transpose3d
    forms: dict[str, Callable[[], Tensor]] = {
        "sub-pixel": partial(sub_pixel, x, weight, bias),
        "transposed": partial(convolve, x, weight, bias, stride=2, padding=1),
    }
    runs: dict[str, Callable[[], object]] = {f"{name}, values": partial(_values, form) for name, form in forms.items()}
    runs |= {f"{name}, gradients": partial(_gradients, form, [x, weight, bias]) for name, form in forms.items()}
    seconds = alternate(runs, 1 if quick else 25, warm_up=2)
    return [
        time_row(f"{title}: {what}", seconds[f"sub-pixel, {what}"], "", 1, "PyTorch's", seconds[f"transposed, {what}"])
        for what in ("values", "gradients")
    ]


def _values(form: Callable[[], Tensor]) -> None:
    with torch.no_grad():
        form()


def _gradients(form: Callable[[], Tensor], inputs: list[Tensor]) -> None:
    torch.autograd.grad(form().sum(), inputs)


if __name__ == "__main__":
    show(rows)
