# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest
import torch

from monai_genaug.experiments.classification import predict_classes, train_classifier
from monai_genaug.experiments.image_judge import make_judge
from monai_genaug.experiments.real_parts import LabelledImages, RealParts
from tests.experiments.toy_images import CLASSES, parts, unlabelled

REAL = parts()


def test_is_the_classifier_of_the_training_part(tmp_path: Path) -> None:
    judge = make_judge(REAL, CLASSES.values(), tmp_path, steps=4)
    assert REAL.train.labels is not None
    assert REAL.val.labels is not None
    held_out = (REAL.val.images, REAL.val.labels)
    expected = train_classifier(REAL.train.images, REAL.train.labels, 2, 4, 0, held_out=held_out)
    assert judge.steps == 4
    assert not judge.network.training
    assert all(torch.equal(a, b) for a, b in zip(judge.network.parameters(), expected.parameters(), strict=True))


def test_is_read_back_for_equal_images_and_made_anew_for_others(tmp_path: Path) -> None:
    first = make_judge(REAL, CLASSES.values(), tmp_path, steps=2)
    (path,) = tmp_path.iterdir()
    written = path.stat().st_mtime_ns
    again = make_judge(parts(), CLASSES.values(), tmp_path, steps=2)
    assert path.stat().st_mtime_ns == written
    assert again.key == first.key
    assert torch.equal(
        predict_classes(first.network, REAL.test.images), predict_classes(again.network, REAL.test.images)
    )
    other = RealParts(LabelledImages(REAL.train.images[1:], REAL.train.labels[1:]), REAL.val, REAL.test)
    keys = {
        make_judge(other, CLASSES.values(), tmp_path, steps=2).key,
        make_judge(REAL, CLASSES.values(), tmp_path, steps=3).key,
        make_judge(REAL, ("kidney-left", "kidney-right"), tmp_path, steps=2).key,
    }
    assert len(keys | {first.key}) == 4


@pytest.mark.parametrize(
    ("names", "mirrored"),
    [
        (("normal", "pneumonia"), True),
        (("kidney-left", "kidney-right"), False),
        (("Left_lung", "heart"), False),
        (("bright", "cleft"), True),
        ((), True),
    ],
)
def test_images_are_not_mirrored_where_the_side_is_the_class(
    tmp_path: Path, names: tuple[str, ...], mirrored: bool
) -> None:
    judge = make_judge(REAL, names, tmp_path, steps=2)
    assert REAL.train.labels is not None
    assert REAL.val.labels is not None
    held_out = (REAL.val.images, REAL.val.labels)
    expected = train_classifier(REAL.train.images, REAL.train.labels, 2, 2, 0, flip=mirrored, held_out=held_out)
    assert torch.equal(judge.network.to_logits.weight, expected.to_logits.weight)


def test_without_classes_the_weights_are_random(tmp_path: Path) -> None:
    one_class = RealParts(
        *(LabelledImages(each.images, torch.zeros(len(each), dtype=torch.int64)) for each in (REAL.train,) * 3)
    )
    judges = [make_judge(real, (), tmp_path, steps=50) for real in (unlabelled(REAL), one_class)]
    assert [judge.steps for judge in judges] == [0, 0]
    assert torch.equal(judges[0].network.to_logits.weight, judges[1].network.to_logits.weight)
