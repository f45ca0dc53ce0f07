# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.spatial import cKDTree
from sklearn.covariance import LedoitWolf
from torch import Tensor
from torch.nn.functional import avg_pool2d

from monai_genaug.data import medmnist_items
from monai_genaug.latent.draws import standard_normal
from monai_genaug.quality.instance_selection import select_instances


def test_gaussian_scores_are_eq_1() -> None:
    features = standard_normal(range(60), 4) * torch.tensor([1.0, 2.0, 3.0, 0.5])
    model = LedoitWolf().fit(features.numpy())
    centred = features.numpy() - features.numpy().mean(axis=0)
    mahalanobis = (centred @ np.linalg.inv(model.covariance_) * centred).sum(axis=1)
    expected = -0.5 * (np.linalg.slogdet(model.covariance_)[1] + mahalanobis + 4 * np.log(2 * np.pi))
    found = select_instances(features, keep=0.3)
    assert found.scores.numpy() == pytest.approx(expected, abs=1e-9)
    assert found.kept.tolist() == sorted(np.argsort(-expected)[:18])


def test_knn_scores_are_distances_to_the_kth_other_item() -> None:
    features = standard_normal(range(50), 3)
    expected = cKDTree(features.numpy()).query(features.numpy(), k=4)[0][:, 3]
    assert select_instances(features, method="knn", k=3).scores.numpy() == pytest.approx(-expected, abs=1e-9)


@pytest.mark.parametrize("method", ["gaussian", "knn"])
def test_outliers_come_first_and_are_left_out(method: str) -> None:
    features = standard_normal(range(80), 5)
    features[[7, 31]] += 9.0
    found = select_instances(features, 0.9, method=method)  # type: ignore[arg-type]
    assert set(found.outliers(2)) == {7, 31}
    assert not {7, 31} & set(found.kept.tolist())
    assert len(found.kept) == 72
    assert found.ranks.min() == 1 / 80
    assert found.ranks.max() == 1


def test_classes_are_thinned_out_on_their_own() -> None:
    features = standard_normal(range(90), 3)
    features[60:] *= 20  # the rare class is spread widely
    labels = ["common"] * 60 + ["rare"] * 30
    by_class = select_instances(features, 0.5, labels)
    kept = torch.bincount((by_class.kept >= 60).long())
    assert kept.tolist() == [30, 15]
    alone = select_instances(features[60:], 0.5)
    assert torch.equal(by_class.kept[30:] - 60, alone.kept)
    assert torch.equal(by_class.scores[60:], alone.scores)
    assert (select_instances(features, 0.5).kept < 60).sum() == 45  # one distribution leaves the rare class out


def test_fewer_items_than_features_and_constant_columns() -> None:
    features = torch.cat([standard_normal(range(12), 40), torch.ones(12, 2, dtype=torch.float64)], dim=1)
    found = select_instances(features, 0.5)
    assert len(found.kept) == 6
    assert found.scores.isfinite().all()


def test_at_least_one_item_of_a_class_is_kept() -> None:
    assert len(select_instances(standard_normal(range(3), 2), 0.01).kept) == 1


def test_refusals() -> None:
    features = standard_normal(range(6), 2)
    for keep in (0.0, 1.5):
        with pytest.raises(ValueError, match=f"keep is {keep}, allowed"):
            select_instances(features, keep)
    with pytest.raises(ValueError, match="method is 'ppca', allowed"):
        select_instances(features, method="ppca")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="all 6 items have the same features"):
        select_instances(torch.ones(6, 2))
    with pytest.raises(ValueError, match="class 1: 2 given samples are too few for k=3"):
        select_instances(features, labels=[0, 0, 0, 0, 1, 1], method="knn", k=3)
    with pytest.raises(ValueError, match="count is -1"):
        select_instances(features).outliers(-1)


@pytest.mark.parametrize("method", ["gaussian", "knn"])
def test_kept_images_are_nearer_to_images_that_took_no_part(genaug_data: Path, method: str) -> None:
    folder = genaug_data / "medmnist"
    if not (folder / "pneumoniamnist.npz").is_file():
        pytest.skip(f"{folder} has no pneumoniamnist.npz")
    items = medmnist_items("pneumoniamnist", folder, "train")[:1200]
    images = torch.stack([torch.from_numpy(item["image"]) for item in items])
    features = avg_pool2d(images.float(), 4).flatten(1)
    fitted, others = features[:800], features[800:]
    found = select_instances(fitted, 0.5, [item["label"] for item in items[:800]], method)  # type: ignore[arg-type]
    nearest = _tenth_nearest(fitted, others)
    dropped = torch.ones(800, dtype=torch.bool)
    dropped[found.kept] = False
    assert nearest[found.kept].mean() < 0.85 * nearest[dropped].mean()
    assert nearest[found.outliers(20)].mean() > 1.4 * nearest.mean()


def _tenth_nearest(features: Tensor, others: Tensor) -> Tensor:
    return torch.from_numpy(cKDTree(others.numpy()).query(features.numpy(), k=10)[0][:, 9])
