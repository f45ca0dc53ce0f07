# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""The schedulers of a third-party bundle: they count their steps, and every call must start with them as built."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from torch import Tensor, nn

__all__ = ["Schedules"]


class Schedules:
    """Remembers the state of schedulers.

    Args:
        parts: values of a config; those that are schedulers count.
    """

    def __init__(self, parts: Iterable[Any]) -> None:
        self._states = {id(part): (part, _copied(part)) for part in parts if _is_scheduler(part)}

    def reset(self) -> None:
        """Gives all schedulers the state that they had."""
        for part, state in self._states.values():
            part.__dict__.update({key: _copy_of(value) for key, value in state.items()})

    @contextmanager
    def one_step(self) -> Iterator[None]:
        """A block in which they are reset to their first step alone."""
        before = dict(self._states)
        try:
            for key, (part, state) in before.items():
                self._states[key] = (part, {**state, "timesteps": state["timesteps"][:1]})
            yield
        finally:
            self._states = before
            self.reset()


def _is_scheduler(part: Any) -> bool:
    steps = getattr(part, "__dict__", {}).get("timesteps")
    return callable(getattr(part, "step", None)) and isinstance(steps, (Tensor, np.ndarray))


def _copied(part: Any) -> dict[str, Any]:
    """The plain values of an object: what it counts and lists, not the modules and parameters in it."""
    return {key: _copy_of(value) for key, value in vars(part).items() if not isinstance(value, (nn.Module, dict))}


def _copy_of(value: Any) -> Any:
    return value.clone() if isinstance(value, Tensor) else copy.copy(value)
