# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""What metrics on features cost, for 500 x 2,048 features: seconds beside MONAI's FIDMetric and prdc.

``python -m benchmarks.metrics memory [COUNT] [METRIC ...]`` prints the peak memory instead, by default of all metrics
for 30,000 x 2,048 features, each in a process of its own.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from importlib.util import find_spec
from io import StringIO
from typing import Any

import torch
from monai.metrics import FIDMetric
from torch import Tensor

from benchmarks.timing import Row, alternate, in_own_process, markdown, peak_mib, show, time_row
from monai_genaug.metrics import (
    density_and_coverage,
    frechet_distance,
    kernel_distance,
    precision_and_recall,
    realism_scores,
    vendi_score,
)

METRICS: dict[str, Callable[[Tensor, Tensor], Any]] = {
    "vendi": lambda real, synthetic: vendi_score(synthetic),
    "frechet": frechet_distance,
    "kernel": kernel_distance,
    "realism": realism_scores,
    "density": density_and_coverage,
    "precision": precision_and_recall,
}
FRECHET_BAR = 500  # times as fast as MONAI's


def rows(quick: bool = False) -> list[Row]:
    """Times of all metrics; MONAI's takes most of a minute and is measured once."""
    real, synthetic = feature_sets(*((32, 16) if quick else (500, 2048)))
    repeats = 1 if quick else 5
    seconds = alternate({name: lambda run=run: run(real, synthetic) for name, run in METRICS.items()}, repeats)  # type: ignore[misc]
    theirs = alternate({"FIDMetric": lambda: FIDMetric()(synthetic, real)}, repeats=1, warm_up=0)["FIDMetric"]
    own = seconds.pop("frechet")
    return [
        time_row("frechet", own, "", 1, "MONAI's FIDMetric", theirs, at_least=FRECHET_BAR),
        _beside_prdc(real, synthetic, repeats),
        *(time_row(name, taken) for name, taken in seconds.items()),
    ]


def feature_sets(count: int, size: int = 2048) -> tuple[Tensor, Tensor]:
    """Real and synthetic features, float32."""
    generator = torch.Generator().manual_seed(0)
    real, synthetic = (torch.randn(count, size, generator=generator) for _ in range(2))
    return real, synthetic.mul_(0.9).add_(0.1)


def _beside_prdc(real: Tensor, synthetic: Tensor, repeats: int) -> Row:
    """The four numbers of prdc in one row, which says so if prdc is not installed."""
    runs = {"ours": lambda: (precision_and_recall(real, synthetic), density_and_coverage(real, synthetic))}
    if find_spec("prdc"):
        from prdc import compute_prdc  # type: ignore[import-untyped]

        runs["prdc"] = lambda: compute_prdc(real.numpy(), synthetic.numpy(), nearest_k=5)
    with redirect_stdout(StringIO()):  # prdc prints
        seconds = alternate(runs, repeats)
    theirs = seconds.get("prdc", [])
    note = "" if theirs else "prdc is not installed"
    return time_row("precision and density", seconds["ours"], "", 1, "prdc", theirs, at_least=1, note=note)


def memory_rows(count: int, names: Sequence[str] = ()) -> list[Row]:
    """Peak memory of each metric."""
    return [in_own_process(_memory_row, name, count) for name in names or METRICS]


def _memory_row(name: str, count: int) -> Row:
    real, synthetic = feature_sets(count)
    loaded, start = peak_mib(), time.perf_counter()
    METRICS[name](real, synthetic)
    taken = time.perf_counter() - start
    note = f"{taken:.0f} s"
    return Row(
        f"{name}, {count:,} x 2,048, peak memory", peak_mib(), "MiB", None, "with features alone", loaded, note=note
    )


if __name__ == "__main__":
    if sys.argv[1:2] == ["memory"]:
        print(markdown(memory_rows(int(sys.argv[2]) if sys.argv[2:] else 30_000, sys.argv[3:])))
    else:
        show(rows)
