# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Any function of seeds, as a generator."""

from __future__ import annotations

import hashlib
import inspect
import json
import pickle
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from typing_extensions import Self

from monai_genaug.generators.base import SampleGenerator, Samples
from monai_genaug.generators.global_random_state import own_random_state
from monai_genaug.generators.lazy_loading import refuse_gpu_after_fork
from monai_genaug.generators.sample_checks import check_output
from monai_genaug.generators.spec import GeneratorSpec

__all__ = ["FunctionGenerator"]

SampleFunction = Callable[[list[int], list[int] | None, float], Tensor | Mapping[str, Tensor]]


class FunctionGenerator(SampleGenerator):
    """Makes samples with a function, whatever is behind it: a simulator, a library, a service.

    ``function(seeds, classes, truncation)`` gets a list of integers in [0, 2^63), the spec's class numbers, one per
    seed (None without classes), and a number in (0, 1]. It returns output name -> ``(n, channels, *spatial_shape)``, or
    the tensor itself where the spec has one output: what the spec says, which is checked at every call. Sample i must
    depend on seed i, class i and the truncation alone. To draw noise of a seed there is
    :mod:`monai_genaug.latent.draws`.

    Args:
        function: the function; one that is defined in a module can be pickled, a lambda or a nested one cannot.
        spec: what it makes, see :func:`image_spec`; an empty ``sha256`` becomes a hash of the function's name and
            source and of ``spec.version``, which must change with whatever else the samples depend on: pools know a
            generator by it.
        uses_global_state: whether it draws from the global random state of torch, numpy or ``random``: it is then
            called for one seed at a time, with a state that is a function of the seed, and the spec says
            ``reproducible_batches=False``.
        device: where samples are returned, and the function is expected to compute.

    Raises:
        TypeError: what is given cannot be called.
        ValueError: a spec that encodes.

    Example:
        >>> from monai_genaug.latent.draws import uniform
        >>> def noise(seeds, classes, truncation):
        ...     return uniform(seeds, 64).float().view(-1, 1, 8, 8)
        >>> FunctionGenerator(noise, image_spec("noise", (8, 8))).sample([1, 2])["image"].shape
        torch.Size([2, 1, 8, 8])
    """

    def __init__(
        self,
        function: SampleFunction,
        spec: GeneratorSpec,
        uses_global_state: bool = False,
        device: str | torch.device = "cpu",
    ) -> None:
        if not callable(function):
            raise TypeError(
                f"function is {function!r}, allowed: something to be called with seeds, classes, truncation."
            )
        if spec.encodes:
            raise ValueError(f"spec {spec.name!r} encodes {spec.encodes}, but a function has no encoder: ().")
        spec = spec if spec.sha256 else spec.replace(sha256=_identity(function, spec))
        super().__init__(spec.replace(reproducible_batches=False) if uses_global_state else spec, device)
        self._function, self._uses_global_state = function, uses_global_state

    def _generate(self, seeds: list[int], classes: list[int] | None, truncation: float) -> Samples:
        refuse_gpu_after_fork(self._device)
        if self._spec.reproducible_batches:
            return self._called(seeds, classes, truncation)
        parts = []
        for row, seed in enumerate(seeds):
            own_class = None if classes is None else [classes[row]]
            if self._uses_global_state:
                with own_random_state(seed, self._device):
                    parts.append(self._called([seed], own_class, truncation))
            else:
                parts.append(self._called([seed], own_class, truncation))
        return {name: torch.cat([part[name] for part in parts]) for name in self._spec.outputs}

    def _called(self, seeds: list[int], classes: list[int] | None, truncation: float) -> Samples:
        made = self._function(list(seeds), None if classes is None else list(classes), truncation)
        outputs = self._spec.outputs
        if isinstance(made, Tensor) and len(outputs) == 1:
            made = {next(iter(outputs)): made}
        if not isinstance(made, Mapping) or set(made) != set(outputs):
            found = sorted(made) if isinstance(made, Mapping) else type(made).__name__
            raise ValueError(f"the function of {self._spec.name!r} returned {found}, its spec says {tuple(outputs)}.")
        samples: Samples = {}
        for name, output in outputs.items():
            if not isinstance(made[name], Tensor):
                raise ValueError(
                    f"the function of {self._spec.name!r} returned {name!r} as {type(made[name]).__name__}, allowed: "
                    "a tensor."
                )
            values = made[name].detach()
            check_output(name, values, (len(seeds), output.channels, *self._spec.spatial_shape), output)
            samples[name] = values.to(self._device)
            if output.kind == "image":
                samples[name] = samples[name].clamp(*output.value_range)
        return samples

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    def __getstate__(self) -> dict[str, Any]:
        try:
            pickle.dumps(self._function)
        except Exception as error:  # pickle has no common error class
            raise TypeError(
                f"generator {self._spec.name!r} cannot be pickled, because its function {_name(self._function)} cannot "
                f"({error}): define it with def in a module that other processes can import."
            ) from error
        return self.__dict__.copy()


def _identity(function: Callable[..., Any], spec: GeneratorSpec) -> str:
    """Hash of what we can see of a function, and of the version of its spec."""
    try:
        source = inspect.getsource(function if inspect.isroutine(function) else type(function))
    except (OSError, TypeError):  # made in an interactive session, or in C
        source = ""
    return hashlib.sha256(json.dumps([_name(function), source, spec.version]).encode()).hexdigest()


def _name(function: Callable[..., Any]) -> str:
    named = function if hasattr(function, "__qualname__") else type(function)
    return f"{named.__module__}.{named.__qualname__}"
