# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""A volume alone is convolved on a CPU as quickly as one of several."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.modules.utils import _triple
from torch.overrides import TorchFunctionMode

from monai_genaug.generators.spec import GeneratorSpec

__all__ = ["quick_single_volumes"]


def quick_single_volumes(spec: GeneratorSpec, device: torch.device) -> AbstractContextManager[object]:
    """A context for networks of a generator of volumes on a CPU; for others one that does nothing.

    PyTorch convolves a batch of one volume by its own slow loops, unless it has many voxels in the first axes, and all
    other batches by oneDNN. In the context oneDNN convolves all of them (``benchmarks/contract_cost.py``).
    """
    applies = len(spec.spatial_shape) == 3 and device.type == "cpu" and torch.backends.mkldnn.is_available()
    return _OneDNN() if applies else nullcontext()


class _OneDNN(TorchFunctionMode):
    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        made = _convolved(*args, **kwargs) if func is functional.conv3d else None
        return func(*args, **kwargs) if made is None else made


def _convolved(
    x: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1,
    groups: int = 1,
) -> Tensor | None:  # fmt: skip
    """The convolution of a volume alone; None where PyTorch's choice is right."""
    if type(x) is not Tensor or x.ndim != 5 or len(x) != 1 or x.dtype != torch.float32 or isinstance(padding, str):
        return None
    if x.requires_grad or weight.requires_grad or weight.shape[-1] == 1 or torch.is_autocast_enabled("cpu"):
        return None
    return torch.mkldnn_convolution(x, weight, bias, _triple(padding), _triple(stride), _triple(dilation), groups)
