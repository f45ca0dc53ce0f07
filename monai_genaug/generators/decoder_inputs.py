# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""What a decoder is called with: latent codes from seeds, and how classes join them."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

import torch
from torch import Tensor
from torch.nn import functional

from monai_genaug.generators.latent_description import describe_latent, latent_from_description
from monai_genaug.generators.spec import GeneratorSpec
from monai_genaug.latent import LatentDistribution, NormalLatent

__all__ = ["Condition", "DecoderInputs"]

Condition = Literal["one_hot", "index"]


class DecoderInputs:
    """Seeds and classes -> the arguments of a decoder.

    Args:
        latent: distribution of codes ``(n, d)``, or the shape of one code without the batch, for standard normal noise:
            64, ``(100, 1, 1)`` or ``(3, 8, 8)``.
        condition: how a class reaches the decoder. ``"one_hot"``: joined to the code along its first axis, as planes
            where the code has more axes; ``"index"``: its number as a second argument ``(n,)``, int64; None: there are
            no classes.
        n_classes: length of the one-hot vectors.

    Raises:
        ValueError: a value that is not allowed.
    """

    def __init__(
        self, latent: LatentDistribution | int | Sequence[int], condition: Condition | None = None, n_classes: int = 0
    ) -> None:
        if condition is not None and condition not in get_args(Condition):
            raise ValueError(f"condition is {condition!r}, allowed: None, {', '.join(map(repr, get_args(Condition)))}.")
        if isinstance(latent, LatentDistribution):
            self.shape: tuple[int, ...] = (latent.latent_dim,)
            self.latent = copy.deepcopy(latent).cpu()
        else:
            self.shape = (latent,) if isinstance(latent, int) else tuple(latent)
            if not self.shape or not all(isinstance(size, int) and size > 0 for size in self.shape):
                raise ValueError(f"latent is {latent!r}, allowed: a LatentDistribution or the shape of a code.")
            self.latent = NormalLatent(math.prod(self.shape))
        self.condition, self.n_classes = condition, n_classes

    def check_fits(self, spec: GeneratorSpec) -> None:
        """Refuses a spec that cannot be reached with these inputs.

        Raises:
            ValueError: the text names what differs.
        """
        if (self.condition is None) == (spec.classes is not None):
            raise ValueError(
                f"condition is {self.condition!r} and the classes of spec {spec.name!r} are {spec.classes}: give "
                f"condition (one of {get_args(Condition)}) exactly for a spec with classes."
            )
        numbers = sorted(spec.classes or ())
        if self.condition == "one_hot" and numbers != list(range(self.n_classes)):
            raise ValueError(f"classes of spec {spec.name!r} are numbered {numbers}, 'one_hot' needs 0, 1, ...")
        if spec.truncation and not self.latent.supports_truncation:
            raise ValueError(f"spec {spec.name!r} has truncation, but {type(self.latent).__name__} has none.")

    def arguments(
        self, seeds: Sequence[int], classes: Sequence[int] | None, truncation: float, device: torch.device
    ) -> tuple[Tensor, ...]:
        """What the decoder is called with, on a device: codes ``(n, *shape)``, float32, and where wanted the classes.

        Args:
            seeds: one per code.
            classes: the spec's number of each class, None without classes.
            truncation: in (0, 1].
            device: where they go.
        """
        z = self.latent.sample(seeds, truncation, classes).view(len(seeds), *self.shape)
        if classes is None:
            return (z.to(device),)
        numbers = torch.tensor(classes)
        if self.condition == "index":
            return z.to(device), numbers.to(device)
        planes = functional.one_hot(numbers, self.n_classes).to(z).view(len(z), self.n_classes, *[1] * (z.ndim - 2))
        return (torch.cat([z, planes.expand(-1, -1, *z.shape[2:])], dim=1).to(device),)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; the inverse of :meth:`from_dict`.

        Raises:
            ValueError: a latent distribution that cannot be written.
        """
        return {
            "latent": describe_latent(self.latent),
            "shape": list(self.shape),
            "condition": self.condition,
            "n_classes": self.n_classes,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> DecoderInputs:
        """Reads what :meth:`to_dict` wrote.

        Raises:
            ValueError: values that are not allowed.
        """
        latent = latent_from_description(values["latent"])
        inputs = cls(latent, values["condition"], int(values["n_classes"]))
        inputs.shape = tuple(int(size) for size in values["shape"])
        if math.prod(inputs.shape) != latent.latent_dim:
            raise ValueError(
                f"the shape of a code is {inputs.shape}, its distribution has {latent.latent_dim} numbers."
            )
        return inputs
