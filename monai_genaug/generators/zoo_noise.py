# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""The noise that a third-party bundle draws for itself, and the same noise drawn per seed."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import Tensor

from monai_genaug.generators.bundle_recipe import NoiseSource
from monai_genaug.generators.global_random_state import own_random_state
from monai_genaug.generators.zoo_config import EvaluatedConfig
from monai_genaug.latent.draws import standard_normal, uniform

__all__ = ["BundleNoise"]

NOISE_STREAM = 2**32 + 11
_COMPARED_ITEMS = 64
_LEAST_VALUES = 256


class BundleNoise:
    """Draws the noise of a bundle.

    The bundle's own noise is drawn under two known global random states and compared with what torch and numpy give
    under the same states. Noise that is recognised so is drawn per seed without the bundle, hence for whole batches;
    any other noise is left to the bundle, one seed per call.

    Args:
        source: where the noise enters.
        config: of the bundle.
        device: where the noise is needed.

    Raises:
        ValueError: the noise is the same whatever the global random state, and of no known distribution.
    """

    def __init__(self, source: NoiseSource, config: EvaluatedConfig, device: torch.device) -> None:
        self.source = source
        self.has_batch_axis = True
        """Whether the first axis of the bundle's noise is the batch; otherwise there is none."""
        self._config, self._device = config, device
        self._distribution: str | None = source.distribution
        self._shape: tuple[int, ...] = source.shape or ()
        if not self._shape or self._distribution is None:
            self._learn()

    def is_known(self) -> bool:
        """Whether :meth:`draw` gives the noise."""
        return self._distribution is not None

    def draw(self, seeds: Sequence[int]) -> Tensor:
        """The noise of the seeds, ``(len(seeds), *shape)``, float32, a function of each seed alone."""
        numbers = standard_normal if self._distribution == "normal" else uniform
        values = numbers(seeds, math.prod(self._shape), stream=NOISE_STREAM).to(torch.float32)
        rows = values.reshape(len(seeds), *self._shape).to(self._device)
        return rows if self.has_batch_axis else rows[0]

    def own(self) -> Tensor | None:
        """The bundle's own noise of one sample, where the config has no item that is it; None where it has."""
        return None if self.source.like is None else self._items()[0][None].to(self._device)

    def _learn(self) -> None:
        values = []
        for seed in (1, 2):
            with own_random_state(seed, self._device):
                values.append(self._items() if self.source.like is not None else [self._whole()])
        first = values[0][0]
        if not self._shape:
            self.has_batch_axis = self.source.like is not None or (first.ndim > 1 and first.shape[0] == 1)
            has_row = self.source.like is None and self.has_batch_axis
            self._shape = tuple(first.shape[1:] if has_row else first.shape)
        if self._distribution is None:
            self._distribution = _compared(first, self._device)
        if self._distribution is None and torch.equal(first, values[1][0]):
            self._distribution = _by_moments(torch.cat([item.flatten() for item in values[0]]))
            if self._distribution is None:
                raise ValueError(
                    f"config item {self.source.like or self.source.id!r} gives the same noise always, and it is "
                    "neither standard normal nor uniform on [0, 1]; name another noise in the recipe."
                )

    def _whole(self) -> Tensor:
        value = self._config.value(self.source.id, {})
        if not isinstance(value, (Tensor, np.ndarray)):
            raise ValueError(f"config item {self.source.id!r} is {type(value).__name__}, not noise.")
        return _tensor(value)

    def _items(self) -> list[Tensor]:
        """The noise of the first samples that the bundle's config draws now."""
        data = self._config.value(str(self.source.like), {})
        return [_tensor(item) for item in islice(_indexed(data), _COMPARED_ITEMS)]


def _compared(found: Tensor, device: torch.device) -> str | None:
    """Which function of torch or numpy gives these values under the same global random state."""
    for name, draw in _draws(tuple(found.shape), device):
        with own_random_state(1, device):
            expected = torch.as_tensor(draw()).to(found)
        if torch.allclose(found, expected, atol=1e-3):
            return name
    return None


def _draws(shape: tuple[int, ...], device: torch.device) -> list[tuple[str, Callable[[], Any]]]:
    return [
        ("normal", lambda: torch.randn(shape)),
        ("uniform", lambda: torch.rand(shape)),
        ("normal", lambda: torch.randn(shape, device=device)),
        ("uniform", lambda: torch.rand(shape, device=device)),
        ("normal", lambda: np.random.standard_normal(shape)),
        ("uniform", lambda: np.random.random_sample(shape)),
    ]


def _by_moments(values: Tensor) -> str | None:
    if len(values) < _LEAST_VALUES:
        return None
    mean, spread = values.mean().item(), values.std().item()
    if values.min() >= 0 and values.max() <= 1 and abs(mean - 0.5) < 0.1 and abs(spread - 12**-0.5) < 0.05:
        return "uniform"
    return "normal" if abs(mean) < 0.25 and abs(spread - 1) < 0.2 and values.abs().max() > 1.5 else None


def _indexed(data: Any) -> Iterable[Any]:
    """The items of a sequence or of a data set, which need not be iterable."""
    return data if not hasattr(data, "__getitem__") else (data[i] for i in range(len(data)))


def _tensor(item: Any) -> Tensor:
    """The noise in an item of a data set."""
    if isinstance(item, Mapping):
        arrays = [value for value in item.values() if isinstance(value, (Tensor, np.ndarray))]
        item = item.get("image", item.get("latent", arrays[0] if arrays else None))
    elif isinstance(item, (list, tuple)) and item:
        item = item[0]
    if not isinstance(item, (Tensor, np.ndarray)):
        raise ValueError(f"an item of the data set of latent codes is {type(item).__name__}, not a tensor.")
    return torch.as_tensor(np.asarray(item) if isinstance(item, np.ndarray) else item).detach().float()
