# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import dataclasses

import matplotlib.image
import numpy as np
import pytest
import torch

from monai_genaug.generators import VAEGenerator
from monai_genaug.quality.audit import audit
from monai_genaug.quality.audit_items import AuditItems
from monai_genaug.quality.closest_pairs import closest_pairs_picture
from tests.quality.toy_audits import ReplayGenerator, items
from tests.toy import toy_network, toy_spec

TRAIN, HELD_OUT = items(20, 1), items(20, 2)


def test_a_column_shows_sample_item_and_no_difference_of_a_copy(tmp_path) -> None:
    generator = ReplayGenerator(TRAIN)
    report = audit(generator, TRAIN, HELD_OUT, n_samples=20)
    path = closest_pairs_picture(report, generator, TRAIN, tmp_path / "new" / "pairs.png")
    picture = matplotlib.image.imread(path)[..., :3]
    assert [one.name for one in path.parent.iterdir()] == ["pairs.png"]
    white = (picture > 0.99).all(axis=2)
    bands = np.flatnonzero(np.diff((white.mean(axis=1) > 0.9).astype(int)))
    assert len(bands) >= 4  # rows of images, apart from each other
    # what a difference of 0 looks like fills the last row, and only it
    neutral = np.abs(picture - np.array([0.969, 0.969, 0.969])).max(axis=2) < 0.01
    assert neutral[-len(neutral) // 5 : -10].mean() > 0.5
    assert neutral[: len(neutral) // 2].mean() < 0.2


def test_volumes_are_shown_by_their_middle_planes(tmp_path) -> None:
    generator = VAEGenerator(toy_network((8, 12, 16), False), toy_spec((8, 12, 16), False))
    volumes = torch.rand(24, 1, 8, 12, 16, generator=torch.Generator().manual_seed(0))
    train, held_out = AuditItems({"image": volumes[:12]}), AuditItems({"image": volumes[12:]})
    path = closest_pairs_picture(audit(generator, train, held_out, 10), generator, train, tmp_path / "pairs.png")
    assert matplotlib.image.imread(path).std() > 0.05


def test_reports_of_others_and_without_pairs_are_refused(tmp_path) -> None:
    generator = ReplayGenerator(TRAIN)
    report = audit(generator, TRAIN, HELD_OUT, n_samples=10)
    with pytest.raises(ValueError, match="the report is of 'replay', the generator is 'replay'"):
        closest_pairs_picture(report, ReplayGenerator(TRAIN, noise=0.1), TRAIN, tmp_path / "pairs.png")
    with pytest.raises(ValueError, match="has no pairs"):
        closest_pairs_picture(dataclasses.replace(report, pairs=()), generator, TRAIN, tmp_path / "pairs.png")
    assert not list(tmp_path.iterdir())
