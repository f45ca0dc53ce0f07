# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Are samples what the spec says? For what others made, and before anything is stored."""

from __future__ import annotations

import torch
from torch import Tensor

from monai_genaug.generators.spec import OutputSpec

__all__ = ["PIXEL_TOLERANCE", "check_output"]

PIXEL_TOLERANCE = 1e-4
"""Of the value range, by which the contract lets pixels vary."""


def check_output(name: str, values: Tensor, shape: tuple[int, ...], output: OutputSpec) -> None:
    """Refuses an output that is not what the spec says.

    Args:
        name: of the output.
        values: what was made.
        shape: what it must have, ``(n, channels, *spatial_shape)``.
        output: of the spec.

    Raises:
        ValueError: another shape or type, a value that is not finite or out of range; the text names both sides.
    """
    dtype = str(values.dtype).removeprefix("torch.")
    if tuple(values.shape) != shape or dtype != output.dtype:
        raise ValueError(
            f"the generator made {name!r} as {dtype} {tuple(values.shape)}, its spec says {output.dtype} {shape}."
        )
    low, high = output.value_range
    smallest, largest = (float(value) for value in torch.aminmax(values))
    slack = PIXEL_TOLERANCE * (high - low) if output.kind == "image" else 0.0
    if not (low - slack <= smallest and largest <= high + slack):  # false for NaN, too
        raise ValueError(f"the generator made {name!r} from {smallest} to {largest}, its spec says {low} to {high}.")
