# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""The spec of a conditional generator whose classes are unconditional generators."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping

from monai_genaug.generators.spec import GeneratorSpec, Provenance

__all__ = ["per_class_spec"]

_SHARED = ("outputs", "spatial_shape", "spacing", "orientation", "intensity", "intensity_range", "padding", "fitting")


def per_class_spec(members: Mapping[str, GeneratorSpec], name: str | None = None) -> GeneratorSpec:
    """One spec for several, one per class.

    Args:
        members: class name -> spec of its generator, in the order of the class ids.
        name: of the whole; None: the members' names, joined by ``+``.

    Returns:
        What all members have. Licences are joined to one SPDX expression, with ``NOASSERTION`` for a member that names
        none; hashes of training items are united; metrics and warnings begin with their class. There is truncation
        where all have it, and an encoder where all read the same.

    Raises:
        ValueError: members that make different things, or salted subject hashes differently (what differs is named).
    """
    specs = list(members.values())
    for field in _SHARED:
        values = {class_name: getattr(spec, field) for class_name, spec in members.items()}
        if any(value != getattr(specs[0], field) for value in values.values()):
            raise ValueError(f"the generators of the classes differ in {field}: {values}.")
    identity = [[class_name, spec.name, spec.version, spec.sha256] for class_name, spec in members.items()]
    return specs[0].replace(
        name=name or "+".join(_unique(spec.name for spec in specs)),
        version="+".join(_unique(spec.version for spec in specs)),
        sha256=hashlib.sha256(json.dumps(identity).encode()).hexdigest(),
        modality=", ".join(_unique(spec.modality for spec in specs)),
        anatomy=", ".join(_unique(spec.anatomy for spec in specs)),
        classes=dict(enumerate(members)),
        truncation=all(spec.truncation for spec in specs),
        encodes=specs[0].encodes if len({spec.encodes for spec in specs}) == 1 else (),
        reproducible_batches=all(spec.reproducible_batches for spec in specs),
        data_licence=_licences(spec.data_licence for spec in specs),
        weights_licence=_licences(spec.weights_licence for spec in specs),
        warnings=tuple(f"{class_name}: {text}" for class_name, spec in members.items() for text in spec.warnings),
        provenance=_provenance({name: spec.provenance for name, spec in members.items() if spec.provenance}),
    )


def _provenance(members: Mapping[str, Provenance]) -> Provenance | None:
    if not members:
        return None
    records = list(members.values())
    salts = {record.subject_salt for record in records if record.subject_hashes}
    if len(salts) > 1:
        raise ValueError(
            f"the generators of the classes have subject hashes with the salts {sorted(salts)}, which cannot be "
            "united: train them with one salt."
        )
    seeds = {record.seed for record in records}
    return Provenance(
        dataset="; ".join(_unique(record.dataset for record in records)),
        dataset_version="; ".join(_unique(record.dataset_version for record in records)),
        data_licence=_licences(record.data_licence for record in records),
        split="; ".join(_unique(record.split for record in records)),
        item_hashes=tuple(_unique(item for record in records for item in record.item_hashes)),
        subject_hashes=tuple(_unique(subject for record in records for subject in record.subject_hashes)),
        subject_salt=next(iter(salts), ""),
        recipe="; ".join(_unique(record.recipe for record in records)),
        seed=seeds.pop() if len(seeds) == 1 else None,
        metrics={f"{name}: {key}": value for name, record in members.items() for key, value in record.metrics.items()},
    )


def _licences(licences: Iterable[str]) -> str:
    """Licences that all hold, as an SPDX expression; empty where no member names one."""
    found = list(dict.fromkeys(licences))
    if not any(found):
        return ""
    terms = [f"({licence})" if " OR " in licence and len(found) > 1 else licence or "NOASSERTION" for licence in found]
    return " AND ".join(terms)


def _unique(texts: Iterable[str]) -> list[str]:
    """The texts that are not empty, each once, in their order."""
    return [text for text in dict.fromkeys(texts) if text]
