# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""One unconditional generator per class, as one conditional generator."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor

from monai_genaug.generators.base import LatentGenerator, SampleGenerator, Samples, checked_seeds
from monai_genaug.generators.class_labels import ClassLabel, resolve_class_labels
from monai_genaug.generators.encoder_input import encoder_input
from monai_genaug.generators.per_class_spec import per_class_spec

__all__ = ["PerClassGenerator"]


class PerClassGenerator(SampleGenerator):
    """Hands every seed to the generator of its class; the sample is the one that this generator makes for the seed.

    Of :class:`LatentGenerator` members it is a :class:`LatentGenerator` too. Pickling carries the members as they
    pickle themselves: one that was loaded from a bundle as a reference.

    Args:
        members: class name -> its generator; the classes are numbered in this order. Or the class ids 0, 1, ...
            themselves, which are then also the names.
        name: of the generator; None: the members' names, joined by ``+``.

    Raises:
        ValueError: no members, keys that are no such names or ids, a member with classes of its own, or members that
            make different things (what differs is named).

    Example:
        >>> head = mg.load_generator("hippocampus_mri_rhvae")
        >>> both = mg.PerClassGenerator({"site A": head, "site B": head})
        >>> both.sample([0], "site B")["mask"].shape
        torch.Size([1, 1, 48, 64, 48])
    """

    def __new__(cls, members: Mapping[Any, SampleGenerator], name: str | None = None) -> PerClassGenerator:
        """The members decide whether the generator is a latent one."""
        latent = isinstance(members, Mapping) and all(isinstance(m, LatentGenerator) for m in members.values())
        return super().__new__(_PerClassLatentGenerator if latent else PerClassGenerator)

    def __init__(self, members: Mapping[Any, SampleGenerator], name: str | None = None) -> None:
        by_name = _by_class_name(members)
        devices = {name: member.device for name, member in by_name.items()}
        if len(set(devices.values())) > 1:
            raise ValueError(f"the members are on different devices: {devices}.")
        super().__init__(
            per_class_spec({class_name: member.spec for class_name, member in by_name.items()}, name),
            next(iter(devices.values())),
        )
        self._members = by_name  # in a dictionary, so that MONAI's set_rnd does not walk into the networks

    @property
    def members(self) -> dict[str, SampleGenerator]:
        """Class name -> its generator, in the order of the class ids."""
        return dict(self._members)

    def _generate(self, seeds: list[int], classes: list[int] | None, truncation: float) -> Samples:
        assert classes is not None
        return self._routed(
            classes, lambda member, rows: member.sample([seeds[row] for row in rows], truncation=truncation)
        )

    def _routed(self, classes: list[int], make: Callable[[Any, list[int]], Samples]) -> Samples:
        """What ``make(member, rows)`` gives for the rows of each class, in the order of the rows."""
        members = list(self._members.values())
        rows = {number: [row for row, own in enumerate(classes) if own == number] for number in sorted(set(classes))}
        parts = [make(members[number], own) for number, own in rows.items()]
        order = torch.tensor([row for own in rows.values() for row in own]).argsort()
        return {name: torch.cat([part[name] for part in parts])[order] for name in parts[0]}

    def __deepcopy__(self, memo: dict[int, Any]) -> PerClassGenerator:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        state = {"batch_size": self.batch_size, "look_ahead": self.look_ahead}
        return PerClassGenerator, (self._members, self._spec.name), state


class _PerClassLatentGenerator(PerClassGenerator, LatentGenerator):
    """The same of latent generators, whose codes have one dimension; a code means something within its class only."""

    @property
    def latent_spread(self) -> Tensor:
        """Mean of the members' spreads, ``(d,)``; :meth:`perturb` and :meth:`edit` go by that of the item's class."""
        spreads = [cast(LatentGenerator, member).latent_spread for member in self._members.values()]
        self._check_dimensions(len(spread) for spread in spreads)
        return torch.stack(spreads).mean(dim=0)

    def encode(
        self,
        batch: Mapping[str, Tensor],
        class_label: ClassLabel | Sequence[ClassLabel] | None = None,
        seeds: Sequence[int] | None = None,
    ) -> Tensor:
        """Codes ``(n, d)``, each of the encoder of the item's class.

        Raises:
            ValueError: as of the members' ``encode``, or a class label that is missing or unknown.
        """
        classes = self._classes_of(batch, class_label)
        numbers = None if seeds is None else _per_item(seeds, len(classes))
        return self._codes(
            classes,
            lambda member, rows: member.encode(
                self._rows_of(batch, rows), seeds=None if numbers is None else [numbers[row] for row in rows]
            ),
        )

    def decode(self, z: Tensor, class_label: ClassLabel | Sequence[ClassLabel] | None = None) -> Samples:
        """The samples at the codes ``z (n, d)``, each of the decoder of its class."""
        if z.ndim != 2 or len(z) == 0:
            raise ValueError(f"z has shape {tuple(z.shape)}, {self._spec.name!r} needs (n, d).")
        return self._routed(self._ids(class_label, len(z)), lambda member, rows: member.decode(z[rows]))

    def sample_latent(
        self, seeds: Sequence[int], class_label: ClassLabel | Sequence[ClassLabel] | None = None, truncation: float = 1
    ) -> Tensor:
        """The codes ``(n, d)`` that :meth:`sample` decodes for the same arguments."""
        numbers = checked_seeds(seeds)
        classes = self._ids(class_label, len(numbers))
        self._check_truncation(truncation)
        return self._codes(
            classes, lambda member, rows: member.sample_latent([numbers[row] for row in rows], truncation=truncation)
        )

    def perturb(
        self,
        batch: Mapping[str, Tensor],
        seeds: Sequence[int],
        strength: float = 1.0,
        class_label: ClassLabel | Sequence[ClassLabel] | None = None,
    ) -> Samples:
        """Each item perturbed by the generator of its class."""
        return self._near(batch, seeds, class_label, lambda member, own, seeds: member.perturb(own, seeds, strength))

    def edit(
        self,
        batch: Mapping[str, Tensor],
        seeds: Sequence[int],
        strength: float = 1.0,
        class_label: ClassLabel | Sequence[ClassLabel] | None = None,
    ) -> Samples:
        """Each item edited by the generator of its class."""
        return self._near(batch, seeds, class_label, lambda member, own, seeds: member.edit(own, seeds, strength))

    def _near(
        self,
        batch: Mapping[str, Tensor],
        seeds: Sequence[int],
        class_label: ClassLabel | Sequence[ClassLabel] | None,
        make: Callable[[LatentGenerator, dict[str, Tensor], list[int]], Samples],
    ) -> Samples:
        classes = self._classes_of(batch, class_label)
        numbers = _per_item(seeds, len(classes))
        return self._routed(
            classes, lambda member, rows: make(member, self._rows_of(batch, rows), [numbers[row] for row in rows])
        )

    def _codes(self, classes: list[int], make: Callable[[Any, list[int]], Tensor]) -> Tensor:
        def checked(member: LatentGenerator, rows: list[int]) -> Samples:
            codes = make(member, rows)
            dimensions.append(codes.shape[1])
            self._check_dimensions(dimensions)
            return {"code": codes}

        dimensions: list[int] = []
        return self._routed(classes, checked)["code"]

    def _check_dimensions(self, dimensions: Any) -> None:
        found = sorted(set(dimensions))
        if len(found) > 1:
            raise ValueError(f"the members of {self._spec.name!r} have codes of different dimensions: {found}.")

    def _classes_of(
        self, batch: Mapping[str, Tensor], class_label: ClassLabel | Sequence[ClassLabel] | None
    ) -> list[int]:
        return self._ids(class_label, len(encoder_input(batch, self._spec)))  # which checks the batch as a whole

    def _rows_of(self, batch: Mapping[str, Tensor], rows: list[int]) -> dict[str, Tensor]:
        return {name: batch[name][rows] for name in self._spec.outputs if name in batch}

    def _ids(self, class_label: ClassLabel | Sequence[ClassLabel] | None, count: int) -> list[int]:
        ids = resolve_class_labels(class_label, count, self._spec)
        assert ids is not None
        return ids


def _by_class_name(members: Mapping[Any, SampleGenerator]) -> dict[str, SampleGenerator]:
    if not isinstance(members, Mapping) or not members:
        raise ValueError(f"members is {members!r}, allowed: {{class name: generator}} with one generator at least.")
    keys = list(members)
    if all(type(key) is int for key in keys):
        keys.sort()
        allowed = keys == list(range(len(keys)))
    else:
        allowed = all(isinstance(key, str) for key in keys)
    if not allowed:
        raise ValueError(f"classes are {list(members)}, allowed: names, or the class ids 0 to {len(keys) - 1}.")
    for key in keys:
        if not isinstance(members[key], SampleGenerator):
            raise ValueError(f"the member of class {key!r} is {type(members[key]).__name__}, allowed: SampleGenerator.")
        if members[key].spec.classes is not None:
            raise ValueError(
                f"the member of class {key!r}, {members[key].spec.name!r}, has classes of its own: "
                f"{members[key].spec.classes}; allowed are unconditional generators."
            )
    return {str(key): members[key] for key in keys}


def _per_item(seeds: Sequence[int], count: int) -> list[int]:
    numbers = checked_seeds(seeds)
    if len(numbers) != count:
        raise ValueError(f"{len(numbers)} seeds for {count} items: give one per item.")
    return numbers
