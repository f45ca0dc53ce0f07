# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""The transposed convolution that doubles an image, in other forms and as PyTorch's own operation.

``DoublingConv2d`` takes overlap-add for up to 2 output channels; both it and ``DoublingConv3d`` take the sub-pixel form
for up to 4. The other rows show why not for more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor

from benchmarks.timing import Row, alternate, show, time_row
from monai_genaug.networks.layers.doubling import doubling_conv, overlap_add, sub_pixel

CASES = {
    "2D, 32 to 1 channels": (32, 32, 1, (16, 16)),
    "2D, 32 to 2 channels": (32, 32, 2, (16, 16)),
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
    x = torch.rand(1 if quick else count, before, *size, requires_grad=True)
    arguments = (x, layer.weight, layer.bias)
    convolve = torch.conv_transpose2d if len(size) == 2 else torch.conv_transpose3d
    forms: dict[str, Callable[[], Tensor]] = {
        **({"overlap-add": partial(overlap_add, *arguments)} if len(size) == 2 else {}),
        "sub-pixel": partial(sub_pixel, *arguments),
        "transposed": partial(convolve, *arguments, stride=2, padding=1),
    }
    runs: dict[str, Callable[[], object]] = {f"{name}, values": partial(_values, form) for name, form in forms.items()}
    runs |= {f"{name}, gradients": partial(_gradients, form, arguments) for name, form in forms.items()}
    seconds = alternate(runs, 1 if quick else 25, warm_up=2)
    return [
        time_row(
            f"{title}: {name}, {what}", seconds[f"{name}, {what}"], "", 1, "PyTorch's", seconds[f"transposed, {what}"]
        )
        for what in ("values", "gradients")
        for name in forms
        if name != "transposed"
    ]


def _values(form: Callable[[], Tensor]) -> None:
    with torch.no_grad():
        form()


def _gradients(form: Callable[[], Tensor], inputs: Sequence[Tensor]) -> None:
    torch.autograd.grad(form().sum(), inputs)


if __name__ == "__main__":
    show(rows)
