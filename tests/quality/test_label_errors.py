# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from torch import Tensor
from torch.nn.functional import avg_pool2d

from monai_genaug.data import medmnist_items
from monai_genaug.latent.draws import standard_normal
from monai_genaug.quality.label_errors import find_label_errors


def clusters(per_class: int, classes: int = 3, gap: float = 4.0) -> tuple[Tensor, Tensor]:
    """Features ``(n, 4)`` around one centre per class, and the classes, in turn."""
    labels = torch.arange(per_class * classes) % classes
    centres = gap * torch.eye(classes, 4, dtype=torch.float64)
    return standard_normal(range(len(labels)), 4) + centres[labels], labels


@pytest.mark.parametrize("method", ["logistic", "neighbours"])
def test_finds_wrong_labels_of_separate_classes(method: str) -> None:
    features, labels = clusters(60, gap=8.0)
    wrong = [10, 20, 30, 40, 50, 60]
    given = labels.clone()
    given[wrong] = (labels[wrong] + 1) % 3
    report = find_label_errors(features, given, method=method)  # type: ignore[arg-type]
    assert set(report.indices) <= set(wrong)
    assert len(report.indices) >= 5  # one may lie just below the threshold of its class
    assert all((s.given, s.suggested) == (given[s.index], labels[s.index]) for s in report.suspicions)
    assert all(s.margin < 0 for s in report.suspicions)
    assert report.error_rate == pytest.approx(6 / 180, abs=0.015)
    assert find_label_errors(features, labels, method=method).suspicions == ()  # type: ignore[arg-type]


def test_the_rule_is_that_of_the_paper() -> None:
    features, labels = clusters(40, gap=1.5)
    report = find_label_errors(features, labels, folds=4, seed=3)
    table, given = features.numpy(), labels.numpy()
    probabilities = np.zeros((len(given), 3))
    for seen, unseen in StratifiedKFold(4, shuffle=True, random_state=3).split(table, given):
        mean, deviation = table[seen].mean(axis=0), table[seen].std(axis=0)
        model = LogisticRegression(max_iter=1000).fit((table[seen] - mean) / deviation, given[seen])
        probabilities[unseen] = model.predict_proba((table[unseen] - mean) / deviation)
    thresholds = [np.mean([p[j] for p, y in zip(probabilities, given, strict=True) if y == j]) for j in range(3)]
    counts: dict[tuple[int, int], int] = {}
    suspects = []
    for index, (p, y) in enumerate(zip(probabilities, given.tolist(), strict=True)):
        above = [j for j in range(3) if p[j] >= thresholds[j]]
        if above:
            best = max(above, key=lambda j: p[j])
            counts[y, best] = counts.get((y, best), 0) + 1
            if best != y:
                suspects.append((p[y] - max(p[j] for j in range(3) if j != y), index))
    assert report.thresholds == pytest.approx(dict(enumerate(thresholds)))
    assert report.counts == counts
    assert report.indices == [index for _, index in sorted(suspects)]
    assert len(suspects) > 5
    right = sum(counts[j, j] / sum(counts.get((j, k), 0) for k in range(3)) * 40 for j in range(3)) / 120
    assert report.error_rate == pytest.approx(1 - right)


def test_items_of_a_subject_do_not_vouch_for_each_other() -> None:
    features, labels = clusters(60, classes=2, gap=8.0)
    subjects = list(range(120))
    for index in (2, 4, 6, 8, 10, 12):  # copies of one image, all with the wrong label
        features[index], labels[index], subjects[index] = features[0] + 0.01 * index, 1, 2
    # neighbours in other folds: the copies of the same subject
    alone = find_label_errors(features, labels, method="neighbours", k=3)
    assert not {2, 4, 6, 8, 10, 12} <= set(alone.indices)
    grouped = find_label_errors(features, labels, subjects, method="neighbours", k=3)
    assert {2, 4, 6, 8, 10, 12} <= set(grouped.indices)


def test_names_of_classes_and_table() -> None:
    features, labels = clusters(30, classes=2, gap=8.0)
    names = ["benign" if label else "malignant" for label in labels.tolist()]
    names[10] = "benign"
    report = find_label_errors(features, names)
    assert [(s.index, s.given, s.suggested) for s in report.suspicions] == [(10, "benign", "malignant")]
    assert "| 10 | benign | malignant | -" in report.table()
    assert report.counts["benign", "malignant"] == 1


def test_seed_alone_decides() -> None:
    features, labels = clusters(30, gap=1.0)
    before = torch.get_rng_state(), np.random.get_state()[1].tolist()
    first = find_label_errors(features, labels, seed=1)
    np.random.seed(7)
    assert find_label_errors(features, labels, seed=1) == first
    assert find_label_errors(features, labels, seed=2) != first
    assert torch.equal(torch.get_rng_state(), before[0])


def test_refusals() -> None:
    features, labels = clusters(6, classes=2)
    with pytest.raises(ValueError, match="method is 'forest', allowed"):
        find_label_errors(features, labels, method="forest")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="3 labels for 12 rows"):
        find_label_errors(features, labels[:3])
    with pytest.raises(ValueError, match="1 subjects for 12 rows"):
        find_label_errors(features, labels, subjects=["a"])
    with pytest.raises(ValueError, match="all items have the label 0"):
        find_label_errors(features, torch.zeros(12))
    with pytest.raises(ValueError, match=r"classes with fewer items than 7 folds: \{0: 6, 1: 6\}"):
        find_label_errors(features, labels, folds=7)
    with pytest.raises(ValueError, match=r"classes with fewer subjects than 5 folds: \{0: 1, 1: 1\}"):
        find_label_errors(features, labels, subjects=["a"] * 12)
    with pytest.raises(ValueError, match="folds is 1, allowed"):
        find_label_errors(features, labels, folds=1)
    with pytest.raises(ValueError, match="k is 10, allowed for 12 items in 5 folds: up to 9"):
        find_label_errors(features, labels, method="neighbours")


def test_five_percent_flipped_labels_of_real_images(genaug_data: Path) -> None:
    folder = genaug_data / "medmnist"
    if not (folder / "pneumoniamnist.npz").is_file():
        pytest.skip(f"{folder} has no pneumoniamnist.npz")
    items = medmnist_items("pneumoniamnist", folder, "train")[:1000]
    images = torch.stack([torch.from_numpy(item["image"]) for item in items])
    labels = np.array([item["label"] for item in items])
    flipped = np.random.default_rng(0).choice(1000, 50, replace=False)
    labels[flipped] = 1 - labels[flipped]
    report = find_label_errors(avg_pool2d(images.float(), 4).flatten(1), torch.from_numpy(labels))
    right = len(set(report.indices) & set(flipped.tolist()))
    assert right / len(report.indices) > 0.7
    assert right / 50 > 0.7
    assert len(set(report.indices[:20]) & set(flipped.tolist())) >= 18
    assert 0.04 < report.error_rate < 0.09
