# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""How often the values of a covariate occur in real and synthetic items."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from typing import Any, Literal

__all__ = ["CovariateReport", "CovariateShare"]

CovariateValue = int | str


@dataclass(frozen=True)
class CovariateShare:
    """How often one value of the covariate occurs.

    Args:
        value: of the covariate.
        real: share of the real items.
        synthetic: estimated share of the synthetic items, corrected for the classifier's errors.
        predicted: share of the synthetic items that the classifier takes for this value.
        recall: share of the real items of this value that the classifier recognises.
        low, high: interval of ``synthetic - real``; of all values together, the intervals hold with the confidence.
    """

    value: CovariateValue
    real: float
    synthetic: float
    predicted: float
    recall: float
    low: float
    high: float


@dataclass(frozen=True)
class CovariateReport:
    """Real and synthetic distribution of a covariate.

    Args:
        shares: one per value of the covariate.
        total_variation: half the sum of the absolute differences of the shares, in [0, 1]; above 0 by chance alone.
        total_variation_interval: by bootstrap; for the same reason its ends are too high where there is no difference.
        p_value: chi-square test that real and synthetic items are predicted alike (items taken as independent).
        tolerance: difference of a share that does not matter.
        accuracy: balanced accuracy of the classifier on real items, 1 / number of values for guessing.
        per_class: class -> the same within the class; empty without labels.
    """

    shares: tuple[CovariateShare, ...]
    total_variation: float
    total_variation_interval: tuple[float, float]
    p_value: float
    tolerance: float
    accuracy: float
    per_class: dict[CovariateValue, CovariateReport] = field(default_factory=dict)

    @property
    def verdict(self) -> Literal["differs", "no difference found", "undecided"]:
        """``"differs"``: the interval of a share lies beyond the tolerance.

        ``"undecided"``: none does, and the classifier closes less than a quarter of the gap between guessing and
        certainty, so that intervals say little. Classes are judged by their own reports.
        """
        if any(share.low > self.tolerance or share.high < -self.tolerance for share in self.shares):
            return "differs"
        chance = 1 / len(self.shares)
        return "undecided" if self.accuracy < chance + 0.25 * (1 - chance) else "no difference found"

    @property
    def passes(self) -> bool:
        """No difference was found, over all and in any class."""
        reports = (self, *self.per_class.values())
        return all(report.verdict == "no difference found" for report in reports)

    def table(self) -> str:
        """Markdown of the shares."""
        rows = [
            f"| {s.value} | {s.real:.3f} | {s.synthetic:.3f} | [{s.low:+.3f}, {s.high:+.3f}] | {s.predicted:.3f} "
            f"| {s.recall:.3f} |"
            for s in self.shares
        ]
        head = "| value | real | synthetic | difference | predicted | recognised |"
        return "\n".join([head, "|---|---|---|---|---|---|", *rows])

    def to_dict(self) -> dict[str, Any]:
        """Plain dicts, lists, strings and numbers, with the verdicts."""
        plain: dict[str, Any] = json.loads(json.dumps({"verdict": self.verdict, **dataclasses.asdict(self)}))
        plain["per_class"] = {str(name): report.to_dict() for name, report in self.per_class.items()}
        return plain
