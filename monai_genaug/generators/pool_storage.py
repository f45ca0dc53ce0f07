# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""How a pool stores images: as they are, halved, or in 256 levels. Masks keep their integer type."""

from __future__ import annotations

from typing import Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from monai_genaug.generators.spec import GeneratorSpec, OutputSpec

__all__ = ["StorageType", "check_storage_type", "decode", "encode", "stored_dtype"]

StorageType = Literal["float32", "float16", "uint8"]
"""``"float16"`` has a relative error of up to 2^-11, ``"uint8"`` an error of up to 1/510 of the value range."""

_STEPS = 255


def check_storage_type(dtype: str, spec: GeneratorSpec) -> None:
    """Refuses what cannot hold the images of a generator.

    Raises:
        ValueError: another type, or a value range that float16 has no numbers for.
    """
    if dtype not in get_args(StorageType):
        raise ValueError(f"dtype is {dtype!r}, allowed: {get_args(StorageType)}.")
    largest = float(np.finfo(np.float16).max)
    for name, output in spec.outputs.items():
        if dtype == "float16" and output.kind == "image" and max(map(abs, output.value_range)) > largest:
            raise ValueError(
                f"dtype is 'float16', which ends at {largest:g}; {name!r} has the value range {output.value_range}."
            )


def stored_dtype(output: OutputSpec, dtype: StorageType) -> np.dtype[Any]:
    """The type of an output on disk."""
    return np.dtype(dtype if output.kind == "image" else output.dtype)


def encode(values: Tensor, output: OutputSpec, dtype: StorageType) -> NDArray[np.generic]:
    """What is stored of an output: with ``dtype="uint8"`` an image x in [a, b] as ``round(255 (x - a) / (b - a))``.

    Args:
        values: samples on the CPU, of the spec's type and within its range.
        output: their spec.
        dtype: how images are stored.
    """
    if output.kind == "image" and dtype == "uint8":
        low, high = output.value_range
        values = values.sub(low).div_(high - low).mul_(_STEPS).round_().clamp_(0, _STEPS)
    stored: NDArray[np.generic] = values.to(getattr(torch, stored_dtype(output, dtype).name)).numpy()
    return stored


def decode(stored: NDArray[np.generic], output: OutputSpec) -> Tensor:
    """The samples that :func:`encode` stored; the same memory where nothing was converted.

    An image of k levels, where 255 is divisible by k - 1, comes out of uint8 bit by bit as a network generator makes
    it: ``a + (b - a) q / 255`` is computed in the same order, and q / 255 is the level's own fraction.
    """
    if output.kind == "image" and stored.dtype == np.uint8:
        return torch.from_numpy(_from_levels(stored, *output.value_range))
    values = torch.from_numpy(stored)
    return values.to(torch.float32).clamp_(*output.value_range) if values.dtype == torch.float16 else values


def _from_levels(levels: NDArray[np.generic], low: float, high: float) -> NDArray[np.float32]:
    images: NDArray[np.float32] = np.true_divide(levels, np.float32(_STEPS), dtype=np.float32)
    images *= np.float32(high - low)
    images += np.float32(low)
    np.maximum(images, np.float32(low), out=images)
    return np.minimum(images, np.float32(high), out=images)
