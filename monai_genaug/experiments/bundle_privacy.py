# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""The privacy audit of a bundle: its training part against the parts that it was not trained on."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from monai_genaug.experiments.real_parts import LabelledImages, RealParts
from monai_genaug.experiments.stages import stage_key, stored_json
from monai_genaug.generators import GeneratorSpec, SampleGenerator
from monai_genaug.quality import AuditItems, AuditReport, AuditThresholds, audit
from monai_genaug.quality.audit_report import CHECKS_OF_WEIGHTS

__all__ = ["BundlePrivacy", "SeedVerdict", "as_audit_items", "audited_parts", "bundle_privacy"]

_LEVELS = 255.0
_VERSION = 2


@dataclass(frozen=True)
class SeedVerdict:
    """What the audit says about other samples of the same generator.

    Args:
        seed: of the samples and permutations.
        failed: (check, scope) of each check that fails.
    """

    seed: int
    failed: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, seed: int, report: AuditReport) -> SeedVerdict:
        """Of a report with that seed."""
        return cls(seed, tuple((check.name, check.scope) for check in report.checks if not check.passed))

    @property
    def ok(self) -> bool:
        """Whether every check passes."""
        return not self.failed

    @property
    def samples_ok(self) -> bool:
        """Whether every attack fails that needs samples alone."""
        return all(name in CHECKS_OF_WEIGHTS for name, _ in self.failed)


@dataclass(frozen=True)
class BundlePrivacy:
    """What the audit of a bundle found.

    Args:
        report: beside validation and test.
        validation: beside the validation part alone, where any audit fails: the test part of some data sets was
            collected apart, and what differs in origin looks like memorisation. None where all pass.
        repeats: verdicts like that of ``report`` with other samples; an effect near its limit passes with some alone.
    """

    report: AuditReport
    validation: AuditReport | None = None
    repeats: tuple[SeedVerdict, ...] = ()

    @property
    def verdicts(self) -> tuple[SeedVerdict, ...]:
        """That of the report, and the repeats."""
        return (SeedVerdict.of(0, self.report), *self.repeats)

    def to_dict(self) -> dict[str, Any]:
        """Plain values; the inverse of :meth:`from_dict`."""
        validation = None if self.validation is None else self.validation.to_dict()
        repeats = [dataclasses.asdict(verdict) for verdict in self.repeats]
        return {"version": _VERSION, "report": self.report.to_dict(), "validation": validation, "repeats": repeats}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> BundlePrivacy:
        """Builds the record from what :meth:`to_dict` returned.

        Raises:
            ValueError: another version.
        """
        if values["version"] != _VERSION:
            raise ValueError(f"the audit has version {values['version']}, needed: {_VERSION}.")
        validation = values["validation"]
        return cls(
            AuditReport.from_dict(values["report"]),
            None if validation is None else AuditReport.from_dict(validation),
            tuple(
                SeedVerdict(each["seed"], tuple((name, scope) for name, scope in each["failed"]))
                for each in values["repeats"]
            ),
        )


def bundle_privacy(
    generator: SampleGenerator, parts: RealParts, work_dir: Path, n_samples: int = 500, seeds: int = 5
) -> BundlePrivacy:
    """Audits a generator with the default features and thresholds.

    Args:
        generator: makes ``image`` and maybe ``mask``.
        parts: real items; those of the validation and of the test are held out.
        work_dir: keeps the reports.
        n_samples: samples in all.
        seeds: sets of samples that are audited; the first one's report is kept, of the others the verdicts.

    Raises:
        ValueError: what the audit refuses, or seeds below 1.
    """
    if seeds < 1:
        raise ValueError(f"seeds is {seeds}, allowed: 1 and more.")
    spec = generator.spec.replace(provenance=None, warnings=()).to_dict()

    def report(held_out: LabelledImages, seed: int = 0) -> AuditReport:
        known = [(part.sha256, part.subjects) for part in (parts.train, held_out)]
        key = stage_key(spec, known, n_samples, dataclasses.asdict(AuditThresholds()), seed)

        def made() -> dict[str, Any]:
            items = [as_audit_items(part, generator.spec) for part in (parts.train, held_out)]
            return audit(generator, items[0], items[1], n_samples, seed=seed).to_dict()

        return AuditReport.from_dict(stored_json(work_dir / f"audit_{key}.json", made))

    held_out = _joined(parts.val, parts.test)
    found = report(held_out)
    repeats = tuple(SeedVerdict.of(seed, report(held_out, seed)) for seed in range(1, seeds))
    is_ok = found.ok and all(verdict.ok for verdict in repeats)
    return BundlePrivacy(found, None if is_ok else report(parts.val), repeats)


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
