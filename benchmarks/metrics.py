# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""What metrics cost, for 500 x 2,048 features: seconds beside other packages, and peak memory.

Paired metrics take 200 images of 64 x 64. The memory of metrics is that on 30,000 x 2,048 features, each in a process
of its own (minutes); ``python -m benchmarks.metrics memory [COUNT] [METRIC ...]`` measures it alone.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from io import StringIO
from typing import Any

import torch
from monai.metrics import FIDMetric, PSNRMetric, SSIMMetric
from torch import Tensor

from benchmarks.timing import Row, alternate, in_own_process, markdown, peak_mib, show, time_row
from monai_genaug.metrics import (
    density_and_coverage,
    feature_metric_values,
    frechet_distance,
    image_pair_similarity,
    kernel_distance,
    nearest_real_rows,
    precision_and_recall,
    realism_scores,
    vendi_score,
)

Run = Callable[[Tensor, Tensor], Any]
"""Takes real and synthetic features or images."""

METRICS: dict[str, Run] = {
    "vendi": lambda real, synthetic: vendi_score(synthetic),
    "frechet": frechet_distance,
    "kernel": kernel_distance,
    "nearest real": nearest_real_rows,
    "realism": realism_scores,
    "density": density_and_coverage,
    "precision": precision_and_recall,
    "precision and density": lambda real, synthetic: feature_metric_values(real, synthetic, FOUR),
    "psnr and ssim": lambda real, synthetic: image_pair_similarity(real, synthetic, ("psnr", "ssim")),
}
FOUR = ("precision", "recall", "density", "coverage")
PAIRED = "psnr and ssim"
IN_MEMORY = ("vendi", "frechet", "kernel", "realism", "density", "precision")
LIMIT_MIB = 2048
FRECHET_BAR = 500  # times as fast as MONAI's
_SINGLE = "it computes in float32, ours in float64"


@dataclass(frozen=True)
class Peer:
    """The same computation by another package.

    Args:
        name: of the package.
        module: that it is imported as.
        run: the computation.
        slow: takes seconds, is measured once.
        at_least: how many times as fast ours must be; None for no bar.
        note: what differs.
    """

    name: str
    module: str
    run: Run
    slow: bool = False
    at_least: float | None = None
    note: str = ""


def _frechet_of_fidelity(real: Tensor, synthetic: Tensor) -> object:
    module = import_module("torch_fidelity.metric_fid")
    statistics = [module.fid_features_to_statistics(features) for features in (synthetic, real)]
    return module.fid_statistics_to_metric(*statistics, verbose=False)


def _kernel_of_fidelity(real: Tensor, synthetic: Tensor) -> object:
    """One subset of all samples, as ours for that few."""
    module = import_module("torch_fidelity.metric_kid")
    return module.kid_features_to_metric(
        synthetic, real, kid_subsets=1, kid_subset_size=min(len(real), len(synthetic)), verbose=False
    )


def _precision_of_fidelity(real: Tensor, synthetic: Tensor) -> object:
    return import_module("torch_fidelity.metric_prc").prc_features_to_metric(synthetic, real, verbose=False)


def _prdc(real: Tensor, synthetic: Tensor) -> object:
    return import_module("prdc").compute_prdc(real.numpy(), synthetic.numpy(), nearest_k=5)


def _vendi_score(real: Tensor, synthetic: Tensor) -> object:
    module, features = import_module("vendi_score.vendi"), synthetic.numpy()
    return (module.score_X if len(features) <= features.shape[1] else module.score_dual)(features)


def _nearest_of_sklearn(real: Tensor, synthetic: Tensor) -> object:
    search = import_module("sklearn.neighbors").NearestNeighbors(n_neighbors=1, algorithm="brute")
    return search.fit(real.numpy()).kneighbors(synthetic.numpy())


def _pairs_of_monai(real: Tensor, synthetic: Tensor) -> object:
    return PSNRMetric(max_val=1.0)(synthetic, real), SSIMMetric(2, data_range=1.0)(synthetic, real)


PEERS: tuple[tuple[str, Peer | None], ...] = (
    ("frechet", Peer("MONAI's FIDMetric", "monai", lambda x, y: FIDMetric()(y, x), slow=True, at_least=FRECHET_BAR)),
    ("frechet", Peer("torch-fidelity", "torch_fidelity", _frechet_of_fidelity, slow=True)),
    ("kernel", Peer("torch-fidelity", "torch_fidelity", _kernel_of_fidelity, note=_SINGLE)),
    ("precision", Peer("torch-fidelity", "torch_fidelity", _precision_of_fidelity, note=_SINGLE)),
    ("precision and density", Peer("prdc", "prdc", _prdc, at_least=1.0)),
    ("density", None),
    ("realism", None),
    ("vendi", Peer("vendi-score", "vendi_score", _vendi_score, note=_SINGLE)),
    ("nearest real", Peer("scikit-learn", "sklearn", _nearest_of_sklearn, note=_SINGLE)),
    (PAIRED, Peer("MONAI's metrics themselves", "monai", _pairs_of_monai)),
)
"""Every metric, and what it is compared with."""


def rows(quick: bool = False, apart: Callable[..., Row] = in_own_process) -> list[Row]:
    """Times of all metrics, and their memory.

    Args:
        quick: small sizes.
        apart: calls a function in another process.
    """
    features = feature_sets(*((32, 16) if quick else (500, 2048)))
    images = image_sets(2 if quick else 200)
    timed = [_row(name, peer, images if name == PAIRED else features, 1 if quick else 5) for name, peer in PEERS]
    return [*timed, *memory_rows(64 if quick else 30_000, ("vendi",) if quick else IN_MEMORY, apart)]


def feature_sets(count: int, size: int = 2048) -> tuple[Tensor, Tensor]:
    """Real and synthetic features, float32."""
    generator = torch.Generator().manual_seed(0)
    real, synthetic = (torch.randn(count, size, generator=generator) for _ in range(2))
    return real, synthetic.mul_(0.9).add_(0.1)


def image_sets(count: int) -> tuple[Tensor, Tensor]:
    """Real and synthetic images in [0, 1]."""
    generator = torch.Generator().manual_seed(0)
    real, noise = (torch.rand(count, 1, 64, 64, generator=generator) for _ in range(2))
    return real, 0.8 * real + 0.2 * noise


def _row(name: str, peer: Peer | None, sets: tuple[Tensor, Tensor], repeats: int) -> Row:
    """Ours beside the peer's, if it is installed."""

    def ours() -> object:
        return METRICS[name](*sets)

    if peer is None or not find_spec(peer.module):
        return time_row(name, alternate({"ours": ours}, repeats)["ours"], note=_absent(peer))

    def theirs() -> object:
        with redirect_stdout(StringIO()):  # some print
            return peer.run(*sets)

    if peer.slow:
        seconds = alternate({"ours": ours}, repeats) | alternate({"theirs": theirs}, repeats=1, warm_up=0)
    else:
        seconds = alternate({"ours": ours, "theirs": theirs}, repeats)
    return time_row(name, seconds["ours"], "", 1, peer.name, seconds["theirs"], at_least=peer.at_least, note=peer.note)


def _absent(peer: Peer | None) -> str:
    return "no other package has it" if peer is None else f"{peer.name} is not installed"


def memory_rows(count: int, names: Sequence[str] = IN_MEMORY, apart: Callable[..., Row] = in_own_process) -> list[Row]:
    """Peak memory of each metric."""
    return [apart(_memory_row, name, count) for name in names]


def _memory_row(name: str, count: int) -> Row:
    real, synthetic = feature_sets(count)
    loaded, start = peak_mib(), time.perf_counter()
    METRICS[name](real, synthetic)
    note, what = f"{time.perf_counter() - start:.0f} s", f"{name}, {count:,} x 2,048, peak memory"
    return Row(what, peak_mib(), "MiB", None, "with features alone", loaded, at_most=LIMIT_MIB, note=note)


if __name__ == "__main__":
    if sys.argv[1:2] == ["memory"]:
        print(markdown(memory_rows(int(sys.argv[2]) if sys.argv[2:] else 30_000, sys.argv[3:] or IN_MEMORY)))
    else:
        show(rows)
