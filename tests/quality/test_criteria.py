# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pickle

import pytest
import torch
from torch import Tensor, nn

from monai_genaug.metrics import realism_scores
from monai_genaug.quality.criteria import ClassifierCriterion, MemorisationCriterion, RealismCriterion
from monai_genaug.quality.pixel_features import PixelThumbnails
from tests.quality.toy_audits import blobs

REAL = blobs(40, 1)
SAMPLES = {"image": torch.cat([blobs(6, 2), torch.rand(6, 1, 10, 10, generator=torch.Generator().manual_seed(0))])}
EXTRACT = PixelThumbnails()


def brightness(images: Tensor) -> Tensor:
    return images.flatten(2).mean(dim=2)


class BrightnessClassifier(nn.Module):
    """Two classes, told apart at a mean of 0.6; a batch norm that would see the batch if it could."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(1, affine=False)
        self.slope = nn.Parameter(torch.tensor(20.0))

    def forward(self, images: Tensor) -> Tensor:
        mean = self.norm(images.flatten(1).mean(dim=1, keepdim=True)) - 0.6
        return self.slope * torch.cat([-mean, mean], dim=1)


def criteria() -> list:
    return [
        RealismCriterion(REAL, EXTRACT, threshold=0.9),
        MemorisationCriterion(REAL, 0.5, EXTRACT),
        ClassifierCriterion(BrightnessClassifier()),
    ]


def test_realism_is_that_of_the_metric() -> None:
    criterion = RealismCriterion(REAL, EXTRACT, threshold=1.0, k=4)
    expected = realism_scores(EXTRACT(REAL), EXTRACT(SAMPLES["image"]), k=4)
    assert torch.allclose(criterion.scores(SAMPLES, None), expected)
    assert torch.equal(criterion.accept(SAMPLES, None), expected >= 1.0)
    assert 0 < int(criterion.accept(SAMPLES, None).sum()) < 12


def test_copies_and_mirrored_copies_are_too_near_and_others_are_not() -> None:
    criterion = MemorisationCriterion(REAL, 0.2, EXTRACT)
    copies = {"image": torch.cat([REAL[:2], REAL[2:4].flip(3), 0.9 * REAL[4:5], SAMPLES["image"][:3]])}
    assert criterion.accept(copies, None).tolist() == [False] * 5 + [True] * 3


def test_classifier_wants_class_and_confidence() -> None:
    images = torch.tensor([0.1, 0.59, 0.61, 0.9]).view(4, 1, 1, 1).expand(4, 1, 5, 5)
    accepted = {
        (confidence, label): ClassifierCriterion(BrightnessClassifier(), confidence)
        .accept({"image": images}, [label] * 4)
        .tolist()
        for confidence in (0.0, 0.9)
        for label in (0, 1)
    }
    assert accepted == {
        (0.0, 0): [True, True, False, False],
        (0.0, 1): [False, False, True, True],
        (0.9, 0): [True, False, False, False],
        (0.9, 1): [False, False, False, True],
    }


@pytest.mark.parametrize("criterion", criteria(), ids=lambda criterion: type(criterion).__name__)
def test_a_verdict_depends_on_the_sample_alone(criterion) -> None:
    classes = [0, 1] * 6
    together = criterion.accept(SAMPLES, classes)
    scores = criterion.scores(SAMPLES, classes)
    for i in range(12):
        one = {"image": SAMPLES["image"][i : i + 1]}
        assert bool(criterion.accept(one, classes[i : i + 1])) == bool(together[i])
        assert float(criterion.scores(one, classes[i : i + 1])) == pytest.approx(float(scores[i]), rel=1e-5)


@pytest.mark.parametrize("criterion", criteria(), ids=lambda criterion: type(criterion).__name__)
def test_pickling_keeps_verdict_and_identity(criterion) -> None:
    again = pickle.loads(pickle.dumps(criterion))
    assert again.identity == criterion.identity
    assert torch.equal(again.accept(SAMPLES, [0] * 12), criterion.accept(SAMPLES, [0] * 12))


def test_identity_changes_with_everything_that_decides() -> None:
    other = BrightnessClassifier()
    with torch.no_grad():
        other.slope.fill_(3.0)
    identities = [
        *(criterion.identity for criterion in criteria()),
        RealismCriterion(REAL, EXTRACT, threshold=0.8).identity,
        RealismCriterion(REAL, EXTRACT, threshold=0.9, k=2).identity,
        RealismCriterion(REAL[1:], EXTRACT, threshold=0.9).identity,
        RealismCriterion(REAL, brightness, threshold=0.9).identity,
        MemorisationCriterion(REAL, 0.4, EXTRACT).identity,
        MemorisationCriterion(REAL.flip(2), 0.5, EXTRACT).identity,
        ClassifierCriterion(BrightnessClassifier(), 0.6).identity,
        ClassifierCriterion(other).identity,
    ]
    assert len(set(identities)) == len(identities)
    assert criteria()[0].identity == identities[0]


def test_a_pickled_criterion_holds_features_not_images() -> None:
    many = torch.rand(50, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    assert len(pickle.dumps(MemorisationCriterion(many, 0.5, EXTRACT))) < many.numel()


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (lambda: RealismCriterion(REAL, EXTRACT, 0.0), "threshold is 0.0"),
        (lambda: RealismCriterion(REAL[:3], EXTRACT), "3 real samples are too few for k=3"),
        (lambda: RealismCriterion(REAL[:1].expand(9, -1, -1, -1), EXTRACT), "at least half of the 9 real images"),
        (lambda: MemorisationCriterion(REAL, -1.0, EXTRACT), "threshold is -1.0"),
        (lambda: MemorisationCriterion(REAL, 1.0, lambda x: x.flatten(1)), "has no identity"),
        (lambda: ClassifierCriterion(BrightnessClassifier(), 1.5), "confidence is 1.5, allowed: 0 to 1"),
        (
            lambda: ClassifierCriterion(BrightnessClassifier()).accept(SAMPLES, None),
            "needs a generator with classes",
        ),
    ],
)
def test_what_is_not_allowed_is_refused(make, complaint) -> None:
    with pytest.raises(ValueError, match=complaint):
        make()
