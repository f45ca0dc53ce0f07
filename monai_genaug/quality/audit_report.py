# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""What a privacy audit found, and its verdict."""

from __future__ import annotations

import dataclasses
import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["CHECKS_OF_WEIGHTS", "AuditCheck", "AuditReport", "AuditThresholds", "ClosePair"]

CHECKS_OF_WEIGHTS = ("reconstruction", "centroids")
"""Attacks that need the generator itself."""
_TITLES = {
    "exact_copies": "exact copies (share of samples)",
    "copies": "near copies (share of samples, in excess of real items)",
    "distance_ratio": "nearer to training than to held-out items (excess of mean log ratio)",
    "membership": "membership inference from samples (AUC - 0.5)",
    "reconstruction": "membership inference by the encoder (AUC - 0.5)",
    "centroids": "decoded latent centroids nearer to training items (excess of mean log ratio)",
}


@dataclass(frozen=True)
class AuditThresholds:
    """Largest effects that pass, and how sure the audit must be of a larger one.

    The defaults are calibrated, see docs/results/audit_calibration.md.

    Args:
        exact_copies: share of samples that equal a training item on 256 levels.
        copies: share of samples that are relatively nearer to a training item than real items are, in excess.
        distance_ratio: mean log(distance to held-out / distance to training items), in excess of exchangeable items.
        membership: area under the ROC curve above 0.5, of the attack on samples.
        reconstruction: the same of the attack on the encoder.
        centroids: as ``distance_ratio``, of decoded centroids of a manifold latent space.
        significance: probability that a generator without memorisation fails any check, at most.
    """

    exact_copies: float = 0.001
    copies: float = 0.02
    distance_ratio: float = 0.05
    membership: float = 0.07
    reconstruction: float = 0.1
    centroids: float = 0.1
    significance: float = 0.01

    def __post_init__(self) -> None:
        for name, value in dataclasses.asdict(self).items():
            if not 0.0 < value < 1.0:
                raise ValueError(f"threshold {name} is {value}, allowed: (0, 1).")


@dataclass(frozen=True)
class AuditCheck:
    """One check of one class, or of all classes together.

    Args:
        name: field of :class:`AuditThresholds`.
        scope: name of the class, ``"all"`` for all together.
        effect: what is compared with the threshold.
        interval: 95 %.
        p_value: one-sided, of an effect so large without memorisation; 0 for exact copies, which need no test.
        threshold: largest effect that passes.
        significance: largest p-value that counts.
        n_samples, n_train, n_held_out: sizes.
        details: further figures.
    """

    name: str
    scope: str
    effect: float
    interval: tuple[float, float]
    p_value: float
    threshold: float
    significance: float
    n_samples: int
    n_train: int
    n_held_out: int
    details: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.name not in _TITLES:
            raise ValueError(f"check {self.name!r} is unknown, allowed: {list(_TITLES)}.")
        object.__setattr__(self, "interval", tuple(self.interval))

    @property
    def score(self) -> float:
        """The smaller of effect / threshold and log(p-value) / log(significance); above 1 the check fails."""
        effect = self.effect / self.threshold
        return effect if self.p_value <= 0.0 else min(effect, math.log(self.p_value) / math.log(self.significance))

    @property
    def needs_weights(self) -> bool:
        """Whether the attack needs the generator itself; otherwise its samples are enough."""
        return self.name in CHECKS_OF_WEIGHTS

    @property
    def passed(self) -> bool:
        """Whether the effect is not both above the threshold and significant."""
        return self.score <= 1.0


@dataclass(frozen=True)
class ClosePair:
    """A sample and the training item that it is closest to, compared with held-out items.

    Args:
        seed, class_id: of the sample; the class is None for a generator without classes.
        train_index: place among the training items that were given.
        distance: in the features of the audit.
        ratio: that distance over the distance to the nearest held-out item.
    """

    seed: int
    class_id: int | None
    train_index: int
    distance: float
    ratio: float


@dataclass(frozen=True)
class AuditReport:
    """Result of :func:`monai_genaug.quality.audit`.

    Args:
        generator, sha256: name of the generator, and hash of its weights.
        extractor: features in which distances were measured.
        seed: of samples and permutations.
        n_samples, n_train, n_held_out: sizes; of real items, those that were compared.
        n_shared: held-out items that were left out because they occur in the training part, exactly or nearly.
        thresholds: that the verdict is by.
        checks: all together first.
        data_copying: C_T of each scope, a second opinion without a verdict, see :func:`data_copying_score`.
        pairs: closest pairs, closest first.
    """

    generator: str
    sha256: str
    extractor: str
    seed: int
    n_samples: int
    n_train: int
    n_held_out: int
    n_shared: int
    thresholds: AuditThresholds
    checks: tuple[AuditCheck, ...]
    data_copying: Mapping[str, float]
    pairs: tuple[ClosePair, ...]

    @property
    def ok(self) -> bool:
        """Whether every check passed."""
        return all(check.passed for check in self.checks)

    @property
    def samples_ok(self) -> bool:
        """Whether every check passed that needs no more than samples: those that matter where only samples go out."""
        return all(check.passed for check in self.checks if not check.needs_weights)

    @property
    def exit_code(self) -> int:
        """0 if every check passed, otherwise 1."""
        return 0 if self.ok else 1

    @property
    def score(self) -> float:
        """The largest score of all checks; above 1 the generator fails."""
        return max(check.score for check in self.checks)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, with the verdict; the inverse of :meth:`from_dict`."""
        plain: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(self)))
        return {"ok": self.ok, "score": self.score, **plain}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> AuditReport:
        """Builds the report from what :meth:`to_dict` returned; the verdict is found anew."""
        plain = {name: value for name, value in values.items() if name not in ("ok", "score")}
        plain["thresholds"] = AuditThresholds(**plain["thresholds"])
        plain["checks"] = tuple(AuditCheck(**check) for check in plain["checks"])
        plain["pairs"] = tuple(ClosePair(**pair) for pair in plain["pairs"])
        return cls(**plain)

    def to_markdown(self) -> str:
        """Verdict and a table of all checks."""
        verdict = "passed" if self.ok else "FAILED"
        lines = [
            f"**Privacy audit of {self.generator}: {verdict}.** {self.n_samples} samples, {self.n_train} training "
            f"items, {self.n_held_out} held-out items ({self.n_shared} more left out, shared with training); "
            f"features {self.extractor}. Samples alone: {'passed' if self.samples_ok else 'FAILED'}.",
            "",
            "| check | class | effect | 95 % interval | p | largest allowed | verdict |",
            "|---|---|---|---|---|---|---|",
        ]
        for check in self.checks:
            low, high = check.interval
            lines.append(
                f"| {_TITLES[check.name]} | {check.scope} | {check.effect:.3f} | {low:.3f} to {high:.3f} | "
                f"{check.p_value:.2g} | {check.threshold:g} | {'passed' if check.passed else 'FAILED'} |"
            )
        copying = ", ".join(f"{scope} {value:.1f}" for scope, value in self.data_copying.items())
        return "\n".join([*lines, "", f"Data-copying score C_T (below -3: near training items): {copying}.", ""])

    def write(self, folder: str | os.PathLike[str]) -> None:
        """Writes ``audit.json`` and ``audit.md`` into a folder, which is created if needed."""
        target = Path(folder)
        target.mkdir(parents=True, exist_ok=True)
        for name, text in (("audit.json", json.dumps(self.to_dict(), indent=2)), ("audit.md", self.to_markdown())):
            unfinished = target / f".{name}"
            unfinished.write_text(text, encoding="utf-8")
            unfinished.replace(target / name)
