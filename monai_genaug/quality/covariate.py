# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Does a generator make all devices, sites or sexes as often as the real data have them?"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Hashable, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from monai_genaug.metrics.checks import check_features
from monai_genaug.quality.covariate_report import CovariateReport, CovariateShare, CovariateValue

__all__ = ["covariate_shift"]

Labels = Tensor | Sequence[int] | Sequence[str]
Counts = NDArray[np.float64]
_SUM_WEIGHT = 1e3  # of the equation that shares add up to 1, beside those of the confusion matrix


def covariate_shift(
    real_features: Tensor,
    real_covariate: Labels,
    synthetic_features: Tensor,
    real_labels: Labels | None = None,
    synthetic_labels: Labels | None = None,
    subjects: Sequence[Hashable] | None = None,
    tolerance: float = 0.05,
    confidence: float = 0.95,
    folds: int = 5,
    n_bootstrap: int = 1000,
    seed: int = 0,
) -> CovariateReport:
    """Compares how often the values of a covariate occur in real and synthetic items.

    A classifier (logistic regression of standardised features) learns the covariate from real items, by
    cross-validation. Of real items, the predictions of the classifiers that did not see them give the confusion matrix
    C[i, j], the share predicted i of the items of value j. Each synthetic item is judged by one of the classifiers,
    drawn by ``seed``; with q the shares of their predictions, the shares p of the values solve

        C p = q,  p >= 0,  sum p = 1                                                                    (eq. 1)

    by least squares (black-box shift estimation, Lipton et al., arXiv 1802.03916, section 4, with the constraints of a
    distribution). Intervals come from drawing real and synthetic items again, percentiles with Bonferroni's correction
    for the number of values.

    The estimate presumes that synthetic items of a value look to the classifier as real ones of that value do: features
    that react to what all synthetic images have (smoothness, noise) can mimic a shift or hide one. A covariate that
    goes with the class (a site with more patients) differs when the classes are generated in other shares: give labels
    then, and read ``per_class``.

    Args:
        real_features, synthetic_features: ``(n, d)`` and ``(m, d)``.
        real_covariate: device, site, sex, ... of each real item, two values or more.
        real_labels, synthetic_labels: classes; both or none. Each class is then compared on its own, too.
        subjects: of the real items; those of one subject are in one fold, and are drawn together for the intervals.
        tolerance: difference of a share that does not matter, in [0, 1).
        confidence: of the intervals, in (0, 1).
        folds: 2 and more, at most as many as the rarest value has items (with ``subjects``: subjects), in each class.
        n_bootstrap: 100 and more.
        seed: of folds and draws; the global random state is not used.

    Returns:
        The comparison.

    Raises:
        ValueError: an argument that is not allowed, features that :func:`check_features` refuses, one value of the
            covariate alone, or a value with too few items, with the class where it is one's.
    """
    _check_numbers(tolerance, confidence, folds, n_bootstrap)
    check_features(real_features, synthetic_features, at_least=2)
    if (real_labels is None) != (synthetic_labels is None):
        raise ValueError("labels are given for one set, needed: for both or for none.")
    n_real, n_synthetic = len(real_features), len(synthetic_features)
    covariate = _names(real_covariate, n_real, "covariates")
    units = _names(range(n_real) if subjects is None else subjects, n_real, "subjects")
    compare = partial(
        _compare, tolerance=tolerance, confidence=confidence, folds=folds, n_bootstrap=n_bootstrap, seed=seed
    )
    real = real_features.detach().double().cpu().numpy()
    synthetic = synthetic_features.detach().double().cpu().numpy()
    report = compare(real, covariate, units, synthetic)
    if real_labels is None or synthetic_labels is None:
        return report
    real_names = _names(real_labels, n_real, "real labels")
    synthetic_names = _names(synthetic_labels, n_synthetic, "synthetic labels")
    if missing := set(real_names) ^ set(synthetic_names):
        raise ValueError(f"classes {sorted(missing, key=str)} are in one set alone, needed: the same classes in both.")
    per_class = {}
    for name in sorted(set(real_names), key=lambda name: (isinstance(name, str), name)):
        rows = [index for index, label in enumerate(real_names) if label == name]
        columns = [index for index, label in enumerate(synthetic_names) if label == name]
        own = [covariate[index] for index in rows], [units[index] for index in rows]
        try:
            per_class[name] = compare(real[rows], *own, synthetic[columns])
        except ValueError as error:
            raise ValueError(f"class {name!r}: {error}") from error
    return dataclasses.replace(report, per_class=per_class)


def _compare(
    real: Counts,
    covariate: Sequence[Any],
    units: Sequence[Hashable],
    synthetic: Counts,
    tolerance: float,
    confidence: float,
    folds: int,
    n_bootstrap: int,
    seed: int,
) -> CovariateReport:
    values = _checked_values(covariate, units, folds)
    true = np.array([values.index(value) for value in covariate])
    rng = np.random.default_rng(seed)
    number = {unit: index for index, unit in enumerate(dict.fromkeys(units))}
    unit_of = np.array([number[unit] for unit in units])
    predicted, synthetic_predicted = _predictions(real, true, unit_of, synthetic, folds, seed, rng)
    k = len(values)
    # per subject, how many items of value j were predicted as i
    tables = np.zeros((len(number), k, k))
    np.add.at(tables, (unit_of, predicted, true), 1.0)
    counts = np.bincount(synthetic_predicted, minlength=k).astype(np.float64)
    table = tables.sum(axis=0)
    found = _shares(table, counts)
    draws = _differences(tables, counts, n_bootstrap, rng)
    tail = (1 - confidence) / 2
    low, high = np.quantile(draws, [tail / k, 1 - tail / k], axis=0)
    distances = np.abs(draws).sum(axis=1) / 2
    shares = table.sum(axis=0) / table.sum()
    recalls = table.diagonal() / table.sum(axis=0)
    rows = zip(values, shares, found, counts / counts.sum(), recalls, low, high, strict=True)
    return CovariateReport(
        shares=tuple(CovariateShare(value, *map(float, row)) for value, *row in rows),
        total_variation=float(np.abs(found - shares).sum() / 2),
        total_variation_interval=(float(np.quantile(distances, tail)), float(np.quantile(distances, 1 - tail))),
        p_value=_p_value(table.sum(axis=1), counts),
        tolerance=tolerance,
        accuracy=float(recalls.mean()),
    )


def _predictions(
    real: Counts,
    true: NDArray[np.int64],
    unit_of: NDArray[np.int64],
    synthetic: Counts,
    folds: int,
    seed: int,
    rng: np.random.Generator,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Of real items by the classifier that did not see them, of synthetic ones by any of the classifiers."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    if len(unit_of) > unit_of.max() + 1:
        splits = StratifiedGroupKFold(folds, shuffle=True, random_state=seed).split(real, true, unit_of)
    else:
        splits = StratifiedKFold(folds, shuffle=True, random_state=seed).split(real, true)
    judge = rng.permutation(len(synthetic)) % folds
    predicted, synthetic_predicted = np.empty(len(real), dtype=np.int64), np.empty(len(synthetic), dtype=np.int64)
    for fold, (seen, unseen) in enumerate(splits):
        model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000, class_weight="balanced"))
        model.fit(real[seen], true[seen])
        predicted[unseen] = model.predict(real[unseen])
        if (judge == fold).any():
            synthetic_predicted[judge == fold] = model.predict(synthetic[judge == fold])
    return predicted, synthetic_predicted


def _shares(table: Counts, counts: Counts) -> Counts:
    """Shares of the values, from counts (predicted, true) of real items and counts of synthetic predictions."""
    from scipy.optimize import nnls

    size = len(counts)
    confusion = table / np.maximum(table.sum(axis=0), 1.0)
    equations = np.vstack([confusion, np.full((1, size), _SUM_WEIGHT)])
    solution = nnls(equations, np.append(counts / counts.sum(), _SUM_WEIGHT))[0]  # eq. 1
    shares: Counts = solution / solution.sum()
    return shares


def _differences(tables: Counts, counts: Counts, repeats: int, rng: np.random.Generator) -> Counts:
    """Synthetic minus real shares of subjects and synthetic items that are drawn again, ``(repeats, values)``."""
    n_units, n_synthetic = len(tables), int(counts.sum())
    equally, predicted = np.full(n_units, 1 / n_units), counts / n_synthetic
    draws = np.empty((repeats, len(counts)))
    for repeat in range(repeats):
        table = np.tensordot(rng.multinomial(n_units, equally), tables, axes=1)
        shares = _shares(table, rng.multinomial(n_synthetic, predicted).astype(np.float64))
        draws[repeat] = shares - table.sum(axis=0) / table.sum()
    return draws


def _p_value(real: Counts, synthetic: Counts) -> float:
    """Of the chi-square test of equal distributions of predictions."""
    from scipy.stats import chi2_contingency

    both = np.stack([real, synthetic])
    both = both[:, both.sum(axis=0) > 0]
    return float(chi2_contingency(both, correction=False).pvalue) if both.shape[1] > 1 else 1.0


def _names(values: Any, count: int, what: str) -> list[Any]:
    names = values.tolist() if isinstance(values, Tensor) else list(values)
    if len(names) != count:
        raise ValueError(f"{len(names)} {what} for {count} items, expected one per item.")
    return names


def _checked_values(covariate: Sequence[Any], units: Sequence[Hashable], folds: int) -> list[CovariateValue]:
    """The values of the covariate, rising."""
    counts = Counter(value for value, _ in set(zip(covariate, units, strict=True)))
    values: list[CovariateValue] = sorted(counts, key=lambda value: (isinstance(value, str), value))
    if len(values) < 2:
        raise ValueError(f"the covariate has the values {values}, at least 2 are needed.")
    if small := {value: counts[value] for value in values if counts[value] < folds}:
        raise ValueError(f"values of the covariate with fewer items or subjects than {folds} folds: {small}.")
    return values


def _check_numbers(tolerance: float, confidence: float, folds: int, n_bootstrap: int) -> None:
    if not 0 <= tolerance < 1:
        raise ValueError(f"tolerance is {tolerance}, allowed: [0, 1).")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence is {confidence}, allowed: (0, 1).")
    if folds < 2:
        raise ValueError(f"folds is {folds}, allowed: 2 and more.")
    if n_bootstrap < 100:
        raise ValueError(f"n_bootstrap is {n_bootstrap}, allowed: 100 and more.")
