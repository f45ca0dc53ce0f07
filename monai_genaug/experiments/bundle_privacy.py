# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""The privacy audit of a bundle: its training part against the parts that it was not trained on."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from monai_genaug.experiments.real_parts import LabelledImages, RealParts
from monai_genaug.experiments.stages import stage_key, stored_json
from monai_genaug.generators import GeneratorSpec, SampleGenerator
from monai_genaug.quality import AuditItems, AuditReport, AuditThresholds, audit

__all__ = ["as_audit_items", "audit_parts", "audited_parts"]

_LEVELS = 255.0


def audit_parts(generator: SampleGenerator, parts: RealParts, work_dir: Path, n_samples: int = 500) -> AuditReport:
    """Audits a generator with the default features and thresholds.

    Args:
        generator: makes ``image`` and maybe ``mask``.
        parts: real items; those of the validation and of the test are held out.
        work_dir: keeps the report.
        n_samples: samples in all.

    Raises:
        ValueError: what the audit refuses.
    """
    spec = generator.spec.replace(provenance=None, warnings=()).to_dict()
    limits = dataclasses.asdict(AuditThresholds())
    known = [(part.sha256, part.subjects) for part in (parts.train, parts.val, parts.test)]

    def report() -> dict[str, Any]:
        return audit(generator, *audited_parts(parts, generator.spec), n_samples).to_dict()

    path = work_dir / f"audit_{stage_key(spec, known, n_samples, limits)}.json"
    return AuditReport.from_dict(stored_json(path, report))


def audited_parts(parts: RealParts, spec: GeneratorSpec) -> tuple[AuditItems, AuditItems]:
    """The training items, and the held-out ones: those of the validation and of the test."""
    return as_audit_items(parts.train, spec), as_audit_items(_joined(parts.val, parts.test), spec)


def as_audit_items(part: LabelledImages, spec: GeneratorSpec) -> AuditItems:
    """Real items with floating intensities in the generator's range; labels only for a generator with classes."""
    low, high = spec.outputs["image"].value_range
    outputs = {"image": part.images.float() / _LEVELS * (high - low) + low}
    if part.masks is not None:
        outputs["mask"] = part.masks
    return AuditItems(outputs, None if spec.classes is None else part.labels, part.subjects)


def _joined(first: LabelledImages, second: LabelledImages) -> LabelledImages:
    def tensors(a: Tensor | None, b: Tensor | None) -> Tensor | None:
        return None if a is None or b is None else torch.cat([a, b])

    subjects = None if first.subjects is None or second.subjects is None else (*first.subjects, *second.subjects)
    return LabelledImages(
        torch.cat([first.images, second.images]),
        tensors(first.labels, second.labels),
        tensors(first.masks, second.masks),
        subjects,
    )
