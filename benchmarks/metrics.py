# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""What metrics on features cost: seconds beside MONAI's FIDMetric and prdc, and memory for large sets.

``python benchmarks/metrics.py``: 500 x 2,048 features; MONAI's row takes a minute, prdc's is there if it is installed.
``python benchmarks/metrics.py memory [COUNT] [METRIC]``: peak memory, by default of all for 30,000 x 2,048 features.
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from importlib.util import find_spec
from io import StringIO
from multiprocessing import get_context
from statistics import median
from typing import Any

import torch
from monai.metrics import FIDMetric
from torch import Tensor

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
ENOUGH = 5.0  # seconds; what takes longer is measured once


def feature_sets(count: int, size: int = 2048) -> tuple[Tensor, Tensor]:
    """Real and synthetic features, float32."""
    generator = torch.Generator().manual_seed(0)
    real, synthetic = (torch.randn(count, size, generator=generator) for _ in range(2))
    return real, synthetic.mul_(0.9).add_(0.1)


def seconds(run: Callable[[], object]) -> float:
    """Median of up to five runs."""
    taken: list[float] = []
    while len(taken) < 5 and sum(taken) < ENOUGH:
        start = time.perf_counter()
        with redirect_stdout(StringIO()):  # prdc prints
            run()
        taken.append(time.perf_counter() - start)
    return median(taken)


def row(what: str, own: float, other: float | None = None) -> None:
    """Prints one line; with another implementation's seconds, how many times as long it takes."""
    print(f"{what:44}{own:10.3f} s" + ("" if other is None else f"{other:10.3f} s {other / own:8.1f} x"), flush=True)


def times(count: int = 500) -> None:
    """Prints the table of times."""
    real, synthetic = feature_sets(count)
    print(f"{count} x 2,048, {torch.get_num_threads()} threads{'':19}{'ours':>12}{'other':>12}{'ratio':>11}")
    for name in ("vendi", "kernel", "realism", "precision", "density"):
        row(name, seconds(lambda name=name: METRICS[name](real, synthetic)))  # type: ignore[misc]
    if find_spec("prdc"):
        from prdc import compute_prdc

        x, y = real.numpy(), synthetic.numpy()
        both = seconds(lambda: (precision_and_recall(real, synthetic), density_and_coverage(real, synthetic)))
        row("precision and density, prdc", both, seconds(lambda: compute_prdc(x, y, nearest_k=5)))
    own = seconds(lambda: frechet_distance(real, synthetic))
    row("frechet, MONAI's FIDMetric", own, seconds(lambda: FIDMetric()(synthetic, real)))


def peak(name: str, count: int) -> None:
    """Prints the peak memory of this process, before and after one run of a metric."""
    empty = _peak_mib()
    real, synthetic = feature_sets(count)
    loaded, start = _peak_mib(), time.perf_counter()
    METRICS[name](real, synthetic)
    taken = time.perf_counter() - start
    print(f"{name:12}{empty:8.0f}{loaded:12.0f}{_peak_mib():12.0f} MiB{taken:10.0f} s", flush=True)


def memory(count: int = 30_000, *names: str) -> None:
    """Prints the table of memory; each metric in a process of its own."""
    print(f"{count} x 2,048{'imports':>9}{'+ features':>12}{'+ metric':>12}")
    for name in names or METRICS:
        process = get_context("spawn").Process(target=peak, args=(name, count))
        process.start()
        process.join()


def _peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


if __name__ == "__main__":
    if sys.argv[1:2] == ["memory"]:
        memory(*map(int, sys.argv[2:3]), *sys.argv[3:])
    else:
        times()
