# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""The feature metrics by name, each as one number."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor

from monai_genaug.metrics.coverage import density_and_coverage
from monai_genaug.metrics.frechet import frechet_distance
from monai_genaug.metrics.kernel import kernel_distance
from monai_genaug.metrics.neighbourhoods import neighbourhood_values
from monai_genaug.metrics.precision_recall import precision_and_recall
from monai_genaug.metrics.vendi import vendi_score

__all__ = ["FEATURE_METRICS", "check_feature_metrics", "feature_metric_values"]

_GROUPS: dict[tuple[str, ...], Callable[[Tensor, Tensor], Sequence[float]]] = {
    ("frechet_distance",): lambda real, synthetic: (frechet_distance(real, synthetic),),
    ("kernel_distance",): lambda real, synthetic: kernel_distance(real, synthetic)[:1],
    ("precision", "recall"): precision_and_recall,
    ("density", "coverage"): density_and_coverage,
    ("vendi_score",): lambda _real, synthetic: (vendi_score(synthetic),),
}

_NEIGHBOURS = ("precision", "recall", "density", "coverage")
_JOINED = {names: run for names, run in _GROUPS.items() if not set(names) <= set(_NEIGHBOURS)}
_JOINED[_NEIGHBOURS] = neighbourhood_values
"""The same with one function for these four, which compares the sets once."""

FEATURE_METRICS: tuple[str, ...] = tuple(name for names in _GROUPS for name in names)
"""Names of the metrics."""


def feature_metric_values(
    real: Tensor, synthetic: Tensor, metrics: Sequence[str] = ("frechet_distance", "precision", "recall")
) -> dict[str, float]:
    """Several metrics of two sets of features, with their default settings.

    Args:
        real, synthetic: ``(n, d)`` and ``(m, d)``.
        metrics: of :data:`FEATURE_METRICS`.

    Returns:
        Metric -> value, in the order asked for.

    Raises:
        ValueError: a metric that does not exist, or features that one of them refuses.
    """
    check_feature_metrics(metrics)
    values: dict[str, float] = {}
    for names, function in (_JOINED if set(_NEIGHBOURS) <= set(metrics) else _GROUPS).items():
        if set(names) & set(metrics):
            values |= dict(zip(names, function(real, synthetic), strict=True))
    return {name: values[name] for name in metrics}


def check_feature_metrics(metrics: Sequence[str]) -> None:
    """Refuses names that are not of :data:`FEATURE_METRICS`, and no name at all.

    Raises:
        ValueError: the names, and those allowed.
    """
    if isinstance(metrics, str) or not metrics or not set(metrics) <= set(FEATURE_METRICS):
        raise ValueError(f"metrics are {metrics!r}, allowed: a list of {', '.join(FEATURE_METRICS)}.")
