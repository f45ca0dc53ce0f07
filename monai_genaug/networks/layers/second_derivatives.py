# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Second derivatives of convolutions, group norms and SiLUs in closed form, for a loss that contains a gradient.

The flow of an RHVAE is trained through the gradient of its decoder. PyTorch composes the derivative of a backward pass
from many elementary operations, and takes that by a convolution's weights as a convolution whose kernel is as large as
the image. Here they consist of the kernels of first derivatives (``benchmarks/second_derivatives.py``). Transposed
convolutions would gain nothing.

A layer is f(x; w), and its backward pass b(g, x, w) the gradient of <g, f> by x. The derivatives of f by w are
PyTorch's; those of <v, b> by g, x and w are given below, for the vector v that the outer gradient brings.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.modules.utils import _ntuple
from torch.overrides import TorchFunctionMode

__all__ = ["ClosedSecondDerivatives"]

_aten = torch.ops.aten


class ClosedSecondDerivatives(TorchFunctionMode):
    """A context in which layers have second derivatives in closed form.

    Values and derivatives are PyTorch's to rounding. What can be differentiated a second time is the gradient by a
    layer's input: that by its parameters, and a third derivative, raise a RuntimeError. On other devices than a CPU,
    in other types than float32 and float64, for subclasses of tensors and under autocast, layers are PyTorch's.

    Example:
        >>> x = torch.randn(2, 3, 8, 8, requires_grad=True)
        >>> layer = torch.nn.Conv2d(3, 4, 3)
        >>> with ClosedSecondDerivatives():
        ...     y = layer(x)
        >>> (slope,) = torch.autograd.grad(y.square().sum(), x, create_graph=True)
        >>> slope.square().mean().backward()
    """

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Calls the closed form of ``func``, or ``func`` where there is none."""
        closed = _CLOSED.get(func)
        if closed is not None:
            made = closed(*args, **(kwargs or {}))
            if made is not None:
                return made
        return func(*args, **(kwargs or {}))


def _is_taken(x: Tensor) -> bool:
    """Whether a layer's output at x gets a closed form."""
    return (
        type(x) is Tensor
        and x.requires_grad
        and torch.is_grad_enabled()
        and x.device.type == "cpu"
        and x.dtype in (torch.float32, torch.float64)
        and not torch.is_autocast_enabled("cpu")
    )


def _by_parameters(y: Tensor) -> Tensor:
    """A layer's output whose graph ends at the parameters, and does not lead to the input."""
    if y.requires_grad:
        y.register_hook(_refuse_graph)
    return y


def _refuse_graph(gradient: Tensor) -> None:
    """Called in the backward passes whose result must not be differentiated, because a derivative would be missing."""
    if torch.is_grad_enabled():
        raise RuntimeError(
            "in ClosedSecondDerivatives only the gradient by a layer's input can be differentiated, and only once."
        )


# Convolutions are linear in x: b(g, w) does not depend on it.


def _convolution(
    x: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1,
    groups: int = 1,
) -> Tensor | None:  # fmt: skip
    if not _is_taken(x) or x.ndim != weight.ndim or isinstance(padding, str):
        return None
    per_axis = _ntuple(x.ndim - 2)
    sizes = (per_axis(stride), per_axis(padding), per_axis(dilation))
    geometry: tuple[Any, ...] = (*sizes, False, per_axis(0), groups)  # not transposed
    y = _by_parameters(torch.convolution(x.detach(), weight, bias, *geometry))
    made: Tensor = _ConvolutionByInput.apply(y, x, weight, geometry)
    return made


class _ConvolutionByInput(torch.autograd.Function):
    """A convolution y whose derivative by x is taken here, and that by its parameters where y comes from."""

    @staticmethod
    def forward(ctx: Any, y: Tensor, x: Tensor, weight: Tensor, geometry: tuple[Any, ...]) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.geometry = geometry
        ctx.mark_dirty(y)  # the same tensor, with one more node in its graph
        return y

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        return g, _ConvolutionBackward.apply(g, weight, x.detach(), ctx.geometry), None, None


class _ConvolutionBackward(torch.autograd.Function):
    """<v, b(g, w)> = <f(v; w), g>, whose derivatives are f(v; w) by g, and by w what f has at v."""

    @staticmethod
    def forward(ctx: Any, g: Tensor, weight: Tensor, x: Tensor, geometry: tuple[Any, ...]) -> Tensor:
        ctx.save_for_backward(g, weight)
        ctx.geometry = geometry
        made: Tensor = _aten.convolution_backward(g, x, weight, None, *geometry, [True, False, False])[0]
        return made

    @staticmethod
    def backward(ctx: Any, v: Tensor) -> tuple[Tensor | None, ...]:
        _refuse_graph(v)
        g, weight = ctx.saved_tensors
        needed = [False, ctx.needs_input_grad[1], False]
        by_weight = _aten.convolution_backward(g, v, weight, None, *ctx.geometry, needed)[1]
        return torch.convolution(v, weight, None, *ctx.geometry), by_weight, None, None


# Group norm is f = w z + bias with z = (x - mean) r and r = 1 / std over the N values of a group. Its backward pass is
# b(g, x, w) = r P(w g) with the symmetric P(a) = a - mean(a) - z mean(z a).


def _group_norm(
    x: Tensor, num_groups: int, weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5
) -> Tensor | None:
    if not _is_taken(x) or weight is None or x.ndim < 3:
        return None
    x = x.contiguous()
    n, channels = x.shape[:2]
    sizes = (n, channels, x[0, 0].numel(), num_groups)
    y, mean, scale = torch.native_group_norm(x.detach(), weight, bias, *sizes, eps)
    made: Tensor = _GroupNormByInput.apply(_by_parameters(y), x, weight, mean.detach(), scale.detach())
    return made


class _GroupNormByInput(torch.autograd.Function):
    """A group norm y whose derivative by x is taken here, and that by its parameters where y comes from."""

    @staticmethod
    def forward(ctx: Any, y: Tensor, x: Tensor, weight: Tensor, mean: Tensor, scale: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight, mean, scale)
        ctx.mark_dirty(y)  # the same tensor, with one more node in its graph
        return y

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
        return g, _GroupNormBackward.apply(g, *ctx.saved_tensors), None, None, None


class _GroupNormBackward(torch.autograd.Function):
    """The derivatives of <v, b>, with u = r P(v).

    * By g: w u.
    * By w: <g, u>, a sum over batch and space.
    * By x: -r / N (<z, w g> u + <z, v> b + <v, b> z), with sums over a group.
    """

    @staticmethod
    def forward(ctx: Any, g: Tensor, x: Tensor, weight: Tensor, mean: Tensor, scale: Tensor) -> Tensor:
        g = g.contiguous()
        made, sums = _through_norm(g, x, weight, mean, scale)
        ctx.save_for_backward(g, x, weight, mean, scale, made, sums)
        return made

    @staticmethod
    def backward(ctx: Any, v: Tensor) -> tuple[Tensor | None, ...]:
        _refuse_graph(v)
        g, x, weight, mean, scale, b, of_g = ctx.saved_tensors
        grouped = (*scale.shape, -1)
        u, of_v = _through_norm(v.contiguous(), x, None, mean, scale)
        per_channel = (g * u).flatten(2).sum(dim=2)
        of_both = (weight * per_channel).view(grouped).sum(dim=2)  # <v, b>
        by_g = u * weight.view(1, -1, *[1] * (x.ndim - 2))
        factor = -scale * scale.numel() / x.numel()  # -r / N
        of_z = (factor * of_both * scale)[:, :, None]
        by_x = u.view(grouped).mul_((factor * of_g)[:, :, None])
        by_x.addcmul_(b.view(grouped), (factor * of_v)[:, :, None])
        by_x.addcmul_(x.view(grouped), of_z).sub_(of_z * mean[:, :, None])
        return by_g, by_x.view_as(x), per_channel.sum(dim=0), None, None


def _through_norm(g: Tensor, x: Tensor, weight: Tensor | None, mean: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
    """Returns r P(w g), and <z, w g> of each group, ``(n, groups)``.

    PyTorch's kernel gives <z, g> of each channel summed over the batch: here channels of all samples are those of one.
    """
    n, groups = scale.shape
    channels = n * x.shape[1]
    one = (1, channels, -1)
    weights = None if weight is None else weight.repeat(n)
    made, sums, _ = _aten.native_group_norm_backward(
        g.view(one), x.view(one), mean.view(1, -1), scale.view(1, -1), weights, 1, channels, x[0, 0].numel(),
        n * groups, [True, True, False],
    )  # fmt: skip
    weighted = sums if weights is None else sums * weights
    return made.view_as(x), weighted.view(n, groups, -1).sum(dim=2)


# SiLU is f = x s with the sigmoid s of x: b(g, x) = g f', f' = s + x s (1 - s) and f'' = s (1 - s) (2 + x - 2 x s).


def _silu(x: Tensor, inplace: bool = False) -> Tensor | None:
    if inplace or not _is_taken(x):
        return None
    made: Tensor = _SiLU.apply(x)
    return made


class _SiLU(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return functional.silu(x)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        made: Tensor = _SiLUBackward.apply(g, x)
        return made


class _SiLUBackward(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, g: Tensor, x: Tensor) -> Tensor:
        ctx.save_for_backward(g, x)
        made: Tensor = _aten.silu_backward(g, x)
        return made

    @staticmethod
    def backward(ctx: Any, v: Tensor) -> tuple[Tensor | None, ...]:
        _refuse_graph(v)
        g, x = ctx.saved_tensors
        s = torch.sigmoid(x)
        of_s = torch.addcmul(s, s, s, value=-1.0)  # s (1 - s)
        slope = torch.addcmul(s, x, of_s)  # f'
        bend = torch.addcmul(x, x, s, value=-2.0).add_(2.0).mul_(of_s)  # f''
        return slope.mul_(v), bend.mul_(g).mul_(v)


_CLOSED: dict[Callable[..., Any], Callable[..., Tensor | None]] = {
    functional.conv2d: _convolution,
    functional.conv3d: _convolution,
    functional.group_norm: _group_norm,
    functional.silu: _silu,
}
"""PyTorch's function -> one that takes the same arguments, and returns None where PyTorch's is to be called."""
