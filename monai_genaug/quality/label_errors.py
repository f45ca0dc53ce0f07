# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Training items that are likely to have the wrong label."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from monai_genaug.metrics.checks import check_feature_table

__all__ = ["LabelErrorReport", "LabelSuspicion", "find_label_errors"]

LabelErrorMethod = Literal["logistic", "neighbours"]
ClassName = int | str


@dataclass(frozen=True)
class LabelSuspicion:
    """An item whose label is in doubt.

    Args:
        index: of the item.
        given: its label.
        suggested: the class that it seems to be of.
        margin: probability of the given class minus that of the most probable other one, in [-1, 1].
    """

    index: int
    given: ClassName
    suggested: ClassName
    margin: float


@dataclass(frozen=True)
class LabelErrorReport:
    """The labels of a training set that are in doubt.

    Args:
        suspicions: the most doubtful first.
        n_items: items that were looked at.
        thresholds: class -> mean probability that its items are given of being in it (eq. 2).
        counts: (given, suggested) -> number of items, the confident joint (eq. 1).
        error_rate: estimated share of wrong labels (eq. 3).
    """

    suspicions: tuple[LabelSuspicion, ...]
    n_items: int
    thresholds: dict[ClassName, float]
    counts: dict[tuple[ClassName, ClassName], int]
    error_rate: float

    @property
    def indices(self) -> list[int]:
        """Of the doubtful items, the most doubtful first."""
        return [suspicion.index for suspicion in self.suspicions]

    def table(self, most: int = 20) -> str:
        """Markdown of the first suspicions."""
        rows = [f"| {s.index} | {s.given} | {s.suggested} | {s.margin:.2f} |" for s in self.suspicions[:most]]
        return "\n".join(["| item | label | rather | margin |", "|---|---|---|---|", *rows])


def find_label_errors(
    features: Tensor,
    labels: Tensor | Sequence[ClassName],
    subjects: Sequence[Hashable] | None = None,
    method: LabelErrorMethod = "logistic",
    folds: int = 5,
    k: int = 10,
    seed: int = 0,
) -> LabelErrorReport:
    """Confident learning (Northcutt et al., arXiv 1911.00068) on features of a network.

    Class probabilities of every item come from a classifier that was fitted to other folds. With t_j the mean
    probability of class j among the items labelled j, an item with label i counts as one of class j if j is the most
    probable of the classes whose probability reaches their threshold:

        C[i, j] = #{x labelled i: j = argmax over l with p_l(x) >= t_l}                                (eq. 1)
        t_j = mean of p_j(x) over x labelled j                                                         (eq. 2)

    The items with j different from i are reported. The share of wrong labels is estimated by the rows of C, scaled to
    the number of items of each label:

        error rate = 1 - sum_i C[i, i] n_i / (n sum_j C[i, j])                                         (eq. 3)

    What is found depends on the features: where classes overlap, items between them are reported too; a label that is
    wrong for many items alike is not, nor is an item just below the threshold. It is a list to look at, not one to
    delete. With 5 % of the labels flipped, 78 % of the flipped ones are among the reported ones of 1,000 chest X-rays
    (PneumoniaMNIST) and 78 % of the reported ones were flipped; of 546 breast ultrasound images (BreastMNIST), whose
    classes overlap in those features, it is 63 % and 15 % (mean intensities of 7x7 cells; docs/results/duplicates.md).

    Args:
        features: ``(n, d)``; of a network that was not trained with these labels, which it may have learnt by heart.
        labels: a class id or name per item.
        subjects: of every item; items of one subject are then in one fold, so that they don't vouch for each other.
        method: ``"logistic"`` regression of standardised features, or the share of the classes among the k nearest
            ``"neighbours"`` in the other folds.
        folds: 2 and more, at most as many as the rarest class has items (with ``subjects``: subjects).
        k: neighbours.
        seed: of the division into folds; the global random state is not used.

    Returns:
        The doubtful items.

    Raises:
        ValueError: an argument that is not allowed, fewer than two classes, or a class with too few items.
    """
    if method not in get_args(LabelErrorMethod):
        raise ValueError(f"method is {method!r}, allowed: {get_args(LabelErrorMethod)}.")
    if k < 1:
        raise ValueError(f"k is {k}, allowed: 1 and more.")
    check_feature_table(features, "the given", at_least=2)
    names: list[ClassName] = labels.tolist() if isinstance(labels, Tensor) else list(labels)
    classes = _checked_classes(names, len(features), subjects, folds)
    given = np.array([classes.index(name) for name in names])
    probabilities = _probabilities(features.detach().double().cpu().numpy(), given, subjects, method, folds, k, seed)
    return _report(probabilities, given, classes)


def _checked_classes(
    names: Sequence[ClassName], n_items: int, subjects: Sequence[Hashable] | None, folds: int
) -> list[ClassName]:
    """The classes, rising."""
    if len(names) != n_items:
        raise ValueError(f"{len(names)} labels for {n_items} rows, expected one label per row.")
    if subjects is not None and len(subjects) != n_items:
        raise ValueError(f"{len(subjects)} subjects for {n_items} rows, expected one subject per row.")
    if folds < 2:
        raise ValueError(f"folds is {folds}, allowed: 2 and more.")
    units = range(n_items) if subjects is None else subjects
    counts = Counter(name for name, _ in set(zip(names, units, strict=True)))
    classes = sorted(counts, key=lambda name: (isinstance(name, str), name))
    if len(classes) < 2:
        raise ValueError(f"all items have the label {classes[0]!r}, at least 2 classes are needed.")
    what = "items" if subjects is None else "subjects"
    if small := {name: counts[name] for name in classes if counts[name] < folds}:
        raise ValueError(f"classes with fewer {what} than {folds} folds: {small}.")
    return classes


def _probabilities(
    features: NDArray[np.float64],
    given: NDArray[np.int64],
    subjects: Sequence[Hashable] | None,
    method: LabelErrorMethod,
    folds: int,
    k: int,
    seed: int,
) -> NDArray[np.float64]:
    """``(n, classes)``, of every item by a classifier that was not fitted to it."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold, cross_val_predict
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    if method == "logistic":
        classifier: Any = LogisticRegression(max_iter=1000)
    else:
        fewest = len(features) - -(-len(features) // folds)
        if k > fewest:
            raise ValueError(f"k is {k}, allowed for {len(features)} items in {folds} folds: up to {fewest}.")
        classifier = KNeighborsClassifier(k)
    splitter: Any = StratifiedKFold(folds, shuffle=True, random_state=seed)
    groups = None
    if subjects is not None:
        splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
        numbers = {subject: number for number, subject in enumerate(dict.fromkeys(subjects))}
        groups = [numbers[subject] for subject in subjects]
    model = make_pipeline(StandardScaler(), classifier)
    predicted = cross_val_predict(model, features, given, groups=groups, cv=splitter, method="predict_proba")
    return np.asarray(predicted, dtype=np.float64)


def _report(
    probabilities: NDArray[np.float64], given: NDArray[np.int64], classes: Sequence[ClassName]
) -> LabelErrorReport:
    count = len(given)
    items = np.arange(count)
    thresholds = np.array([probabilities[given == j, j].mean() for j in range(len(classes))])  # eq. 2
    confident = np.where(probabilities >= thresholds, probabilities, -1.0)
    found, counted = confident.argmax(axis=1), confident.max(axis=1) >= 0
    joint = np.zeros((len(classes), len(classes)), dtype=np.int64)
    np.add.at(joint, (given[counted], found[counted]), 1)  # eq. 1
    sizes, rows = np.bincount(given, minlength=len(classes)), np.maximum(joint.sum(axis=1), 1)
    own = probabilities[items, given]
    others = probabilities.copy()
    others[items, given] = -1.0
    margins = own - others.max(axis=1)
    doubtful = np.flatnonzero(counted & (found != given))
    return LabelErrorReport(
        suspicions=tuple(
            LabelSuspicion(int(i), classes[given[i]], classes[found[i]], float(margins[i]))
            for i in doubtful[np.argsort(margins[doubtful], kind="stable")]
        ),
        n_items=count,
        thresholds=dict(zip(classes, thresholds.tolist(), strict=True)),
        counts={(a, b): int(joint[i, j]) for i, a in enumerate(classes) for j, b in enumerate(classes) if joint[i, j]},
        error_rate=float(1.0 - (joint.diagonal() / rows * sizes).sum() / count),  # eq. 3
    )
