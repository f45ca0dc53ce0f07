# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import dataclasses
import json

import pytest
import torch

from monai_genaug.generators import VAEGenerator
from monai_genaug.networks import RHVAE
from monai_genaug.quality.audit import audit
from monai_genaug.quality.audit_items import AuditItems
from monai_genaug.quality.audit_report import AuditReport, AuditThresholds
from tests.quality.toy_audits import ReplayGenerator, blobs, items
from tests.toy import toy_spec

TRAIN, HELD_OUT, UNSEEN = items(60, 1), items(50, 2), items(60, 3)
GLOBAL = ("exact_copies", "copies", "distance_ratio", "membership")


def effects(report: AuditReport, scope: str = "all") -> dict[str, float]:
    return {check.name: check.effect for check in report.checks if check.scope == scope}


def failed(report: AuditReport) -> set[str]:
    return {check.name for check in report.checks if not check.passed}


@pytest.fixture(scope="module")
def honest() -> AuditReport:
    return audit(ReplayGenerator(UNSEEN, fresh=1.0), TRAIN, HELD_OUT, n_samples=120)


@pytest.fixture(scope="module")
def copying() -> AuditReport:
    return audit(ReplayGenerator(TRAIN), TRAIN, HELD_OUT, n_samples=120)


def test_new_images_of_the_same_kind_pass(honest) -> None:
    assert honest.ok
    assert honest.samples_ok
    assert honest.exit_code == 0
    assert honest.score <= 1
    assert [check.name for check in honest.checks if check.scope == "all"] == list(GLOBAL)
    assert {check.scope for check in honest.checks} == {"all", "dark", "bright"}


def test_copies_fail_every_check_and_the_pairs_are_the_copied_items(copying) -> None:
    assert not copying.ok
    assert copying.exit_code == 1
    assert failed(copying) == set(GLOBAL)
    assert effects(copying)["exact_copies"] == 1.0
    generator = ReplayGenerator(TRAIN)
    for pair in copying.pairs:
        image = generator.sample([pair.seed], pair.class_id)["image"][0]
        assert torch.equal(image, TRAIN.outputs["image"][pair.train_index])
        assert pair.distance == pair.ratio == 0.0


@pytest.mark.parametrize(("noise", "fresh"), [(0.02, 0.0), (0.02, 0.7)])
def test_noisy_copies_fail_without_exact_ones(noise, fresh) -> None:
    report = audit(ReplayGenerator(TRAIN, noise, fresh), TRAIN, HELD_OUT, n_samples=120)
    assert effects(report)["exact_copies"] == 0.0
    assert "copies" in failed(report)


def test_mirrored_and_brighter_copies_fail() -> None:
    turned = AuditItems({"image": 0.9 * TRAIN.outputs["image"].flip(3) + 0.05}, TRAIN.labels)
    assert {"copies", "distance_ratio"} <= failed(audit(ReplayGenerator(turned), TRAIN, HELD_OUT, n_samples=120))


def test_copies_of_one_class_are_found_in_this_class() -> None:
    images = torch.where((TRAIN.labels == 0).view(-1, 1, 1, 1), TRAIN.outputs["image"], UNSEEN.outputs["image"])
    report = audit(ReplayGenerator(AuditItems({"image": images}, TRAIN.labels)), TRAIN, HELD_OUT, n_samples=120)
    assert effects(report, "dark")["exact_copies"] == 1.0
    assert effects(report, "bright")["exact_copies"] == 0.0
    assert not any(check.passed for check in report.checks if check.scope == "dark")


def test_held_out_items_that_the_training_part_has_are_left_out() -> None:
    images = torch.cat([HELD_OUT.outputs["image"], TRAIN.outputs["image"][:3] + 1e-4])
    labels = torch.cat([HELD_OUT.labels, TRAIN.labels[:3]])
    report = audit(ReplayGenerator(TRAIN), TRAIN, AuditItems({"image": images}, labels), n_samples=40)
    assert (report.n_shared, report.n_train, report.n_held_out) == (3, 117, 100)
    assert not report.ok


def test_reports_repeat_and_survive_json(copying, honest) -> None:
    again = audit(ReplayGenerator(TRAIN), TRAIN, HELD_OUT, n_samples=120)
    assert again == copying
    for report in (copying, honest):
        plain = json.loads(json.dumps(report.to_dict()))
        assert plain["ok"] == report.ok
        assert AuditReport.from_dict(plain) == report


def test_the_global_random_state_does_not_move() -> None:
    torch.manual_seed(0)
    before = torch.get_rng_state()
    audit(ReplayGenerator(TRAIN), TRAIN, HELD_OUT, n_samples=10)
    assert torch.equal(torch.get_rng_state(), before)


def test_files_say_the_verdict(copying, honest, tmp_path) -> None:
    copying.write(tmp_path / "new")
    text = (tmp_path / "new" / "audit.md").read_text()
    assert "Privacy audit of replay: FAILED" in text
    assert text.count("| FAILED |") == sum(not check.passed for check in copying.checks)
    assert AuditReport.from_dict(json.loads((tmp_path / "new" / "audit.json").read_text())) == copying
    assert "FAILED" not in honest.to_markdown()
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["audit.json", "audit.md"]


def test_thresholds_and_significance_decide(copying) -> None:
    near = next(check for check in copying.checks if check.name == "copies")
    assert not near.passed
    assert dataclasses.replace(near, threshold=0.999).passed
    weak = dataclasses.replace(near, p_value=0.5)
    assert weak.passed
    assert 0 < weak.score < 1
    sure = dataclasses.replace(near, p_value=near.significance**3)
    assert sure.score == pytest.approx(min(3.0, near.effect / near.threshold))
    with pytest.raises(ValueError, match=r"threshold copies is 0.0, allowed: \(0, 1\)"):
        AuditThresholds(copies=0.0)
    with pytest.raises(ValueError, match=r"check 'luck' is unknown, allowed: \['exact_copies'"):
        dataclasses.replace(near, name="luck")


def test_generators_with_encoder_and_manifold_are_attacked_through_them() -> None:
    train, held_out = blobs(20, 1)[:, :, :8, :8], blobs(16, 2)[:, :, :8, :8]
    generator = rhvae_generator(train)
    report = audit(generator, AuditItems({"image": train}), AuditItems({"image": held_out}), n_samples=20)
    names = [check.name for check in report.checks]
    assert names == [*GLOBAL, "reconstruction", "centroids"]
    assert [check.needs_weights for check in report.checks] == [False] * 4 + [True] * 2
    assert {check.scope for check in report.checks} == {"all"}


def rhvae_generator(train: torch.Tensor) -> VAEGenerator:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = RHVAE(spatial_dims=2, spatial_shape=[8, 8], image_channels=1, latent_dim=2, channels=[4, 8]).eval()
        network.fit_generation([train[:10]], [train[10:]])
    return VAEGenerator(network, toy_spec((8, 8), mask=False, truncation=False))


@pytest.mark.parametrize(
    ("train", "held_out", "n_samples", "complaint"),
    [
        (TRAIN, HELD_OUT, 1, "n_samples is 1, needed: at least one for each of the 2 classes"),
        (AuditItems({"image": blobs(4, 0)}), HELD_OUT, 10, "the train items have labels: False"),
        (TRAIN, HELD_OUT.take(HELD_OUT.rows_of(0)), 10, r"the held_out items have classes \[0\], needed: \[0, 1\]"),
        (
            AuditItems({"image": torch.rand(4, 1, 5, 5)}, torch.tensor([0, 0, 1, 1])),
            HELD_OUT,
            10,
            r"'image' of shape \(1, 5, 5\), those of 'replay' have \(1, 10, 10\)",
        ),
        (TRAIN, TRAIN, 10, "every train item has an exact or near duplicate in the other part"),
        (
            AuditItems(TRAIN.outputs, TRAIN.labels, [f"s{i}" for i in range(120)]),
            AuditItems(HELD_OUT.outputs, HELD_OUT.labels, [f"s{i + 119}" for i in range(100)]),
            10,
            r"subjects \['s119'\] are in both parts",
        ),
    ],
)
def test_items_that_cannot_be_compared_are_refused(train, held_out, n_samples, complaint) -> None:
    with pytest.raises(ValueError, match=complaint):
        audit(ReplayGenerator(TRAIN), train, held_out, n_samples)


def test_numbers_of_items_must_agree() -> None:
    with pytest.raises(ValueError, match=r"numbers of items are \{'image': 3, 'labels': 2\}, needed: one number"):
        AuditItems({"image": torch.zeros(3, 1, 4, 4)}, torch.zeros(2))
