# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Table and picture of the audits of honest and copying generators."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle
from pathlib import Path

import torch
from torch import Tensor

from monai_genaug.experiments.audit_trials import CHECKS, Trial, separation

__all__ = ["draw_roc", "trials_table"]

_STYLES = ("-", "--", ":")


def trials_table(trials: Sequence[Trial]) -> str:
    """Three tables: what honest generators reach, how well copying ones are told apart, and every kind by itself."""
    lines = [
        f"| data set | honest audits | passed | {' | '.join(f'largest {name}' for name in CHECKS)} |",
        "|---|---|---|" + "---|" * len(CHECKS),
    ]
    names = list(dict.fromkeys(trial.dataset for trial in trials))
    for name in names:
        honest = [trial for trial in trials if trial.dataset == name and trial.share == 0.0]
        largest = " | ".join(f"{max(trial.effects[check] for trial in honest):.3f}" for check in CHECKS)
        lines.append(f"| {name} | {len(honest)} | {sum(trial.passed for trial in honest)} | {largest} |")
    lines += ["", "| data set | copies | samples | audits | found | AUC |", "|---|---|---|---|---|---|"]
    for name in names:
        honest = [trial for trial in trials if trial.dataset == name and trial.share == 0.0]
        for share in _shares(trials):
            some = [trial for trial in trials if trial.dataset == name and trial.share == share]
            area = separation([trial.score for trial in honest], [trial.score for trial in some])
            sizes = sorted({trial.n_samples for trial in some})
            lines.append(
                f"| {name} | {share:.0%} | {sizes[0]} to {sizes[-1]} | {len(some)} | "
                f"{sum(not trial.passed for trial in some)} | {area:.2f} |"
            )
    lines += ["", "| data set | generator | copied share | " + " | ".join((*CHECKS, "score", "verdict")) + " |"]
    lines += ["|---|---|---|" + "---|" * (len(CHECKS) + 2)]
    shown: set[tuple[str, str, float | None]] = set()
    for trial in trials:
        if (key := (trial.dataset, trial.kind, trial.share)) not in shown:
            values = " | ".join(f"{trial.effects[check]:.3f}" for check in CHECKS)
            verdict = "passed" if trial.passed else "FAILED"
            cells = [trial.dataset, trial.kind, _percent(trial.share), values, f"{trial.score:.1f}", verdict]
            lines.append(f"| {' | '.join(cells)} |")
        shown.add(key)
    return "\n".join(lines)


def _shares(trials: Sequence[Trial]) -> list[float]:
    """Shares of copies that occur, the largest one first."""
    return sorted({trial.share for trial in trials if trial.share}, reverse=True)


def _percent(share: float | None) -> str:
    return "unknown" if share is None else f"{share:.0%}"


def draw_roc(trials: Sequence[Trial], path: Path) -> None:
    """Writes ROC curves of the audit's score, one panel per data set, one curve per share of copies."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    names = list(dict.fromkeys(trial.dataset for trial in trials))
    figure = Figure(figsize=(3.2 * len(names), 3.4))
    FigureCanvasAgg(figure)
    for axis, name in zip(figure.subplots(1, len(names), squeeze=False)[0], names, strict=True):
        honest = torch.tensor([trial.score for trial in trials if trial.dataset == name and trial.share == 0.0])
        styles = cycle(_STYLES)
        for share in _shares(trials):
            copying = torch.tensor([trial.score for trial in trials if trial.dataset == name and trial.share == share])
            false, true = _curve(honest, copying)
            area = separation(honest.tolist(), copying.tolist())
            axis.plot(
                false, true, label=f"{share:.0%} copies, AUC {area:.2f}", drawstyle="steps-post", linestyle=next(styles)
            )
        axis.plot([0, 1], [0, 1], color="0.7", linewidth=0.8)
        axis.set(title=name, xlabel="share of honest generators above", aspect="equal")
        if name == names[0]:
            axis.set_ylabel("share of copying generators above")
        axis.legend(fontsize=7, loc="lower right")
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}")
    figure.savefig(temporary, dpi=110, bbox_inches="tight", format="png")
    temporary.replace(path)


def _curve(honest: Tensor, copying: Tensor) -> tuple[list[float], list[float]]:
    """Shares of honest and copying generators above each threshold, from the highest to the lowest."""
    thresholds = torch.cat([honest, copying]).unique().flip(0)
    points = [
        (0.0, 0.0),
        *((float((honest >= t).double().mean()), float((copying >= t).double().mean())) for t in thresholds),
    ]
    return [x for x, _ in points], [y for _, y in points]
