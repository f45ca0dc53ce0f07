# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Real items that a generator is audited against."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from monai_genaug.generators import GeneratorSpec
from monai_genaug.quality.duplicates import find_duplicates

__all__ = ["AuditItems", "audited_output", "check_audit_items", "separated"]

_NEAR = 0.1  # distance of near duplicates, see find_duplicates


@dataclass(frozen=True, eq=False)
class AuditItems:
    """Real items in a generator's space.

    Args:
        outputs: output name -> ``(n, C, *spatial_shape)``; the image is needed, a mask where the encoder reads it.
        labels: class ids ``(n,)``, int64, for a generator with classes; None otherwise.
        subjects: whom each item shows, n names; None if each item is somebody else.

    Raises:
        ValueError: no items, or numbers of items that differ.
    """

    outputs: Mapping[str, Tensor]
    labels: Tensor | None = None
    subjects: Sequence[str] | None = None

    def __post_init__(self) -> None:
        sizes = {name: len(values) for name, values in self.outputs.items()}
        sizes |= {} if self.labels is None else {"labels": len(self.labels)}
        sizes |= {} if self.subjects is None else {"subjects": len(self.subjects)}
        if not self.outputs or len(set(sizes.values())) != 1 or 0 in sizes.values():
            raise ValueError(f"numbers of items are {sizes}, needed: one number, 1 and more.")

    def __len__(self) -> int:
        return len(next(iter(self.outputs.values())))

    def take(self, rows: Tensor) -> AuditItems:
        """Some of the items, by their indices ``(m,)``, int64."""
        return AuditItems(
            {name: values[rows] for name, values in self.outputs.items()},
            None if self.labels is None else self.labels[rows],
            None if self.subjects is None else [self.subjects[row] for row in rows.tolist()],
        )

    def rows_of(self, number: int | None) -> Tensor:
        """Indices of the items of a class; of all items for None."""
        if number is None:
            return torch.arange(len(self))
        assert self.labels is not None
        return (self.labels == number).nonzero().flatten()


def audited_output(spec: GeneratorSpec) -> str:
    """The output that is compared: the first image, or the first output of a generator without one."""
    return next((name for name, output in spec.outputs.items() if output.kind == "image"), next(iter(spec.outputs)))


def check_audit_items(items: AuditItems, spec: GeneratorSpec, part: str) -> None:
    """Refuses items that are not in a generator's space.

    Raises:
        ValueError: the text names the part and what differs.
    """
    name = audited_output(spec)
    shape = (spec.outputs[name].channels, *spec.spatial_shape)
    found = tuple(items.outputs[name].shape[1:]) if name in items.outputs else None
    if found != shape:
        raise ValueError(f"the {part} items have {name!r} of shape {found}, those of {spec.name!r} have {shape}.")
    if (items.labels is None) != (spec.classes is None):
        raise ValueError(f"the {part} items have labels: {items.labels is not None}; {spec.name!r}: {spec.classes}.")
    if items.labels is not None and set(items.labels.tolist()) != set(spec.classes or ()):
        raise ValueError(
            f"the {part} items have classes {sorted(set(items.labels.tolist()))}, needed: {list(spec.classes or ())}."
        )


def separated(train: AuditItems, held_out: AuditItems, spec: GeneratorSpec) -> tuple[AuditItems, AuditItems, int]:
    """Both parts without items that occur in both, exactly or nearly; and the number of held-out items left out.

    Items whose twin is in the other part say nothing about who is nearer. Near twins within a part, such as images of
    one scan, get a common subject where the subjects are not known.

    Raises:
        ValueError: nothing would be left of a part.
    """
    name = audited_output(spec)
    parts = {"train": train, "held_out": held_out}
    found = find_duplicates(
        {part: items.outputs[name] for part, items in parts.items()},
        near=_NEAR,
        flips=False,
        value_range=spec.outputs[name].value_range,
    )
    shared: dict[str, set[int]] = {part: set() for part in parts}
    twins: dict[tuple[str, int], str] = {}
    for number, group in enumerate(found.groups()):
        if len({part for part, _ in group}) > 1:
            for part, row in group:
                shared[part].add(row)
        twins |= dict.fromkeys(group, f"twins {number}")
    kept = []
    for part, items in parts.items():
        rows = torch.tensor([row for row in range(len(items)) if row not in shared[part]], dtype=torch.int64)
        if not len(rows):
            raise ValueError(f"every {part} item has an exact or near duplicate in the other part.")
        own = items.subjects or [twins.get((part, row), f"{part} {row}") for row in range(len(items))]
        kept.append(AuditItems(items.outputs, items.labels, own).take(rows))
    return kept[0], kept[1], len(shared["held_out"])
