# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor

from monai_genaug.experiments.bundle_privacy import BundlePrivacy, SeedVerdict, as_audit_items, bundle_privacy
from monai_genaug.experiments.real_parts import LabelledImages, RealParts
from monai_genaug.generators import content_hash, derive_seed
from tests.experiments.toy_images import FreshBars, bar_spec, parts
from tests.toy import toy_spec

REAL = parts()


class ReplayingBars(FreshBars):
    """Training images."""

    def _one(self, seed: int, number: int) -> Tensor:
        known = REAL.train.of_class(number)
        return known[derive_seed("replay", seed) % len(known)] / 255.0


class _Done(FreshBars):
    """Has made everything before."""

    def _one(self, seed: int, number: int) -> Tensor:
        raise AssertionError("sampled again")


def test_fresh_draws_pass_and_replayed_training_images_fail(tmp_path: Path) -> None:
    privacy = bundle_privacy(FreshBars(bar_spec("fresh")), REAL, tmp_path, 60, seeds=3)
    fresh = privacy.report
    assert fresh.ok
    assert privacy.repeats == (SeedVerdict(1), SeedVerdict(2))
    assert privacy.validation is None
    assert (fresh.n_samples, fresh.n_held_out + fresh.n_shared) == (60, 130)  # 40 of the validation, 90 of the test
    replayed = bundle_privacy(ReplayingBars(bar_spec("replay")), REAL, tmp_path, 60, seeds=2)
    (verdict,) = replayed.repeats
    assert (verdict.seed, ("copies", "all") in verdict.failed) == (1, True)
    failed = {check.name for check in replayed.report.checks if check.scope == "all" and not check.passed}
    assert {"exact_copies", "copies", "distance_ratio", "membership"} <= failed
    assert replayed.validation is not None
    assert replayed.validation.n_held_out + replayed.validation.n_shared == 40
    assert BundlePrivacy.from_dict(json.loads(json.dumps(replayed.to_dict()))) == replayed
    with pytest.raises(ValueError, match="version 4, needed: 2"):
        BundlePrivacy.from_dict({**replayed.to_dict(), "version": 4})


def test_a_report_is_kept_until_something_changes(tmp_path: Path) -> None:
    report = bundle_privacy(FreshBars(bar_spec("bars")), REAL, tmp_path, 20, seeds=2)
    done = _Done(bar_spec("bars").replace(warnings=("x",)))
    assert bundle_privacy(done, REAL, tmp_path, 20, seeds=2) == report
    with pytest.raises(AssertionError, match="sampled again"):
        bundle_privacy(done, REAL, tmp_path, 20, seeds=3)
    with pytest.raises(ValueError, match="seeds is 0, allowed: 1 and more"):
        bundle_privacy(done, REAL, tmp_path, 20, seeds=0)
    changed = RealParts(REAL.train, REAL.test, REAL.val)
    others = LabelledImages(REAL.train.images, REAL.train.labels, subjects=tuple("ab" * (len(REAL.train) // 2)))
    for real, count in ((REAL, 22), (changed, 20), (RealParts(others, REAL.val, REAL.test), 20)):
        with pytest.raises(AssertionError, match="sampled again"):
            bundle_privacy(done, real, tmp_path, count, seeds=1)


def test_items_have_the_range_and_the_hashes_of_the_images() -> None:
    items = as_audit_items(REAL.val, bar_spec("bars"))
    assert items.labels is REAL.val.labels
    assert items.outputs["image"].min() >= -1
    for image, levels in zip(items.outputs["image"], REAL.val.images, strict=True):
        assert content_hash(image, (-1.0, 1.0)) == content_hash(levels / 255.0)


def test_masks_and_subjects_come_along() -> None:
    masks = torch.ones(2, 1, 16, 16, dtype=torch.uint8)
    part = LabelledImages(REAL.val.images[:2], torch.tensor([0, 1]), masks, ("a", "b"))
    items = as_audit_items(part, toy_spec((16, 16)))
    assert items.labels is None
    assert items.outputs["mask"] is masks
    assert items.subjects == ("a", "b")
