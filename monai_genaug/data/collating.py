# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Makes the values of items alike, so that a batch can be made of them in any order."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from monai.data import MetaTensor
from torch import Tensor

__all__: list[str] = []

_NUMERIC: tuple[Any, ...] = (bool, int, float, np.generic, np.ndarray, Tensor)


def _prototype(value: Any) -> Any:
    """What :func:`_fit_to` needs to know of a value: the type, and of arrays of several elements no element."""
    if isinstance(value, np.ndarray) and value.size != 1:
        return np.empty(0, value.dtype)
    if isinstance(value, MetaTensor) and value.numel() != 1:
        return MetaTensor(torch.empty(0, dtype=value.dtype))
    if isinstance(value, Tensor) and value.numel() != 1:
        return torch.empty(0, dtype=value.dtype)
    return value


def _fit_to(value: Any, prototype: Any, name: str) -> Any:
    """``value`` with the type and dtype of ``prototype``; one of a single element also takes its shape.

    Metadata of a MetaTensor are kept where the prototype is one too.

    Args:
        value: array, tensor, number or string.
        prototype: what it shall be like.
        name: what to call it in an error.

    Raises:
        ValueError: the two don't fit: a fractional value for an integer type, text for a number, or None.
    """
    if isinstance(prototype, (Tensor, np.ndarray)):
        return _fit_array(value, prototype, name)
    single = value.item() if isinstance(value, (Tensor, np.ndarray, np.generic)) and _size(value) == 1 else value
    if isinstance(prototype, (bool, int, float, np.number, np.bool_)) and isinstance(single, (bool, int, float)):
        kind: Any = type(prototype)
        if not isinstance(prototype, (float, np.inexact)) and single != int(single):
            raise ValueError(f"{name!r} is {value!r} in one item and of type {kind.__name__} in another.")
        return kind(single)
    if prototype is not None and isinstance(single, type(prototype)):
        return single
    raise ValueError(f"{name!r} is {value!r} in one item and {prototype!r} in another: such items make no batch.")


def _fit_array(value: Any, prototype: Any, name: str) -> Any:
    if not isinstance(value, _NUMERIC):
        raise ValueError(f"{name!r} is {value!r} in one item and an array in another: such items make no batch.")
    if type(value) is type(prototype) and value.dtype == prototype.dtype and _size(prototype) != 1:
        return value
    tensor: Tensor = value if isinstance(value, Tensor) else torch.as_tensor(np.asarray(value))
    fractional = prototype.dtype.is_floating_point if isinstance(prototype, Tensor) else prototype.dtype.kind == "f"
    if tensor.is_floating_point() and not fractional:
        raise ValueError(f"{name!r} is {tensor.dtype} in one item and {prototype.dtype} in another: scale both alike.")
    if tensor.numel() == 1 and _size(prototype) == 1:
        tensor = tensor.reshape(tuple(prototype.shape))
    if isinstance(prototype, np.ndarray):
        return tensor.detach().cpu().as_subclass(Tensor).numpy().astype(prototype.dtype, copy=False)
    tensor = tensor.to(prototype.dtype)
    if isinstance(prototype, MetaTensor):
        return tensor if isinstance(tensor, MetaTensor) else MetaTensor(tensor)
    return tensor.as_subclass(Tensor)


def _size(value: Any) -> int:
    return int(value.numel() if isinstance(value, Tensor) else value.size)
