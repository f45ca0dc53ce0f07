# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""An optimizer's step that is made only with a finite loss and gradient, on all ranks alike."""

from __future__ import annotations

import math

from ignite.engine.events import State
from torch import Tensor
from torch.nn.utils import clip_grad_norm_
from torch.optim import Optimizer

from monai_genaug.engines.gan_step import average_over_ranks

__all__ = ["NonFiniteLossError", "check_max_epochs", "checked_step", "gradient_limit", "not_finite"]


class NonFiniteLossError(RuntimeError):
    """The loss or its gradient is no finite number. The weights are still those of the step before."""


def check_max_epochs(max_epochs: int) -> None:
    """Refuses a training of no epochs.

    Raises:
        ValueError: below 1.
    """
    if max_epochs < 1:
        raise ValueError(f"max_epochs is {max_epochs}, allowed: 1 and more.")


def gradient_limit(max_grad_norm: float | None) -> float:
    """The norm that longer gradients are shortened to; infinity for None.

    Raises:
        ValueError: no positive number.
    """
    if max_grad_norm is not None and not max_grad_norm > 0.0:
        raise ValueError(f"max_grad_norm is {max_grad_norm}, allowed: positive numbers and None.")
    return math.inf if max_grad_norm is None else max_grad_norm


def checked_step(
    optimizer: Optimizer, loss: Tensor, state: State, network: str, max_grad_norm: float = math.inf
) -> float:
    """Averages the gradients over the ranks, shortens them and updates the weights.

    Args:
        optimizer: of parameters that have their gradients.
        loss: what they are the gradients of.
        state: of the engine, for the error.
        network: what learns, for the error, such as ``"network"``.
        max_grad_norm: longer gradients are shortened to this norm.

    Returns:
        The gradient's norm before.

    Raises:
        NonFiniteLossError: loss or gradient are not finite; nothing was updated.
    """
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    mean, norm = average_over_ranks(parameters, loss)
    if not (math.isfinite(mean) and math.isfinite(norm)):
        raise not_finite(state, f"the {network}'s loss is {mean}, its gradient's norm {norm}.", network)
    if max_grad_norm < math.inf:
        clip_grad_norm_(parameters, max_grad_norm)
    optimizer.step()
    return norm


def not_finite(state: State, what: str, network: str = "network") -> NonFiniteLossError:
    """The error, where the state is that of the engine."""
    return NonFiniteLossError(
        f"not finite in epoch {state.epoch}, iteration {state.iteration}: {what} The {network} still has the weights "
        "of the iteration before; a smaller learning rate may help, or max_grad_norm where the trainer has it."
    )
