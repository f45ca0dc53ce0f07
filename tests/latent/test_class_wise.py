# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
import torch

from monai_genaug.latent import ClassWiseLatent, GaussianMixtureLatent, NormalLatent, RiemannianLatent
from monai_genaug.latent.draws import standard_normal

SEEDS = [0, 1, 5, 5 + 2**32, 2**63 - 1, *range(100, 111)]
CLASSES = [seed % 3 for seed in SEEDS]


def codes(count: int = 90) -> tuple[torch.Tensor, torch.Tensor]:
    """Three classes whose codes lie apart and have different widths."""
    classes = torch.arange(count) % 3
    centres = 10.0 * torch.eye(3)[classes]
    return centres + (1.0 + classes[:, None]) * standard_normal(range(count), 3).float(), classes


@pytest.fixture(scope="module")
def latent() -> ClassWiseLatent:
    made = ClassWiseLatent(3, GaussianMixtureLatent(3, n_components=2))
    made.fit(codes()[0], classes=codes()[1])
    return made


def test_each_class_is_fitted_and_drawn_as_by_itself(latent: ClassWiseLatent) -> None:
    points, classes = codes()
    whole = latent.sample(SEEDS, 0.7, CLASSES)
    assert whole.shape == (len(SEEDS), 3)
    assert whole.dtype == torch.float32
    for k in range(3):
        alone = GaussianMixtureLatent(3, n_components=2)
        alone.fit(points[classes == k])
        rows = [i for i, number in enumerate(CLASSES) if number == k]
        assert torch.equal(whole[rows], alone.sample([SEEDS[i] for i in rows], 0.7))


def test_draws_stay_with_their_class(latent: ClassWiseLatent) -> None:
    points, classes = codes()
    for k in range(3):
        drawn, own = latent.sample(range(500), classes=[k] * 500), points[classes == k]
        torch.testing.assert_close(drawn.mean(dim=0), own.mean(dim=0), rtol=0, atol=0.5)
        torch.testing.assert_close(drawn.std(dim=0), own.std(dim=0), rtol=0.15, atol=0)


def test_draws_do_not_depend_on_batch_or_order(latent: ClassWiseLatent) -> None:
    whole = latent.sample(SEEDS, classes=CLASSES)
    alone = [latent.sample([seed], classes=[k]) for seed, k in zip(SEEDS, CLASSES, strict=True)]
    assert torch.equal(torch.cat(alone), whole)
    assert torch.equal(latent.sample(SEEDS[::-1], classes=CLASSES[::-1]).flip(0), whole)
    assert torch.equal(latent.sample(SEEDS, classes=torch.tensor(CLASSES)), whole)  # type: ignore[arg-type]
    assert not torch.equal(latent.sample([7], classes=[0]), latent.sample([7], classes=[1]))
    assert latent.sample([], classes=[]).shape == (0, 3)


def test_truncation_is_the_members(latent: ClassWiseLatent) -> None:
    spread = [latent.sample(range(60), t, [1] * 60).std(dim=0).mean() for t in (1.0, 0.5)]
    assert spread[0] > spread[1]
    with pytest.raises(ValueError, match=r"truncation of ClassWiseLatent must be in \(0, 1\], got 1.5"):
        latent.sample([1], 1.5, [0])
    manifold = ClassWiseLatent(2, RiemannianLatent(3, temperature=1.0))
    assert not manifold.supports_truncation
    with pytest.raises(ValueError, match="ClassWiseLatent has no truncation"):
        manifold.sample([1], 0.5, [0])
    assert latent.supports_truncation


def test_state_dict_restores_a_fresh_object(latent: ClassWiseLatent) -> None:
    fresh = ClassWiseLatent(3, GaussianMixtureLatent(3, n_components=2))
    assert not fresh.is_fitted
    fresh.load_state_dict(latent.state_dict())
    assert fresh.is_fitted
    expected = latent.sample(SEEDS, classes=CLASSES)
    for restored in (fresh, copy.deepcopy(latent), pickle.loads(pickle.dumps(latent))):
        assert torch.equal(restored.sample(SEEDS, classes=CLASSES), expected)
        assert torch.equal(restored.spread, latent.spread)


def test_members_are_copies() -> None:
    member = NormalLatent(2)
    latent = ClassWiseLatent(2, member)
    assert latent.members[0] is not latent.members[1]
    assert member not in list(latent.members)
    assert latent.is_fitted


def test_global_generators_are_neither_read_nor_moved() -> None:
    found = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        before = torch.get_rng_state()
        made = ClassWiseLatent(3, GaussianMixtureLatent(3, n_components=2))
        made.fit(codes()[0], classes=codes()[1])
        found.append(made.sample([1, 2], classes=[0, 2]))
        assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(*found)


@pytest.mark.parametrize("classes", [None, [0], [0, 3], [-1, 0]])
def test_classes_that_do_not_fit_the_seeds(classes: Any, latent: ClassWiseLatent) -> None:
    with pytest.raises(ValueError, match="needed: one per seed, from 0 to 2"):
        latent.sample([1, 2], classes=classes)


def test_a_bad_fit_changes_nothing(latent: ClassWiseLatent) -> None:
    before = copy.deepcopy(latent.state_dict())
    points, classes = codes()
    for wrong, words in (
        (None, r"None, needed: \(90,\)"),
        (classes[:5], r"\(5,\), needed: \(90,\)"),
        (torch.where(torch.arange(90) < 87, 0, classes), "class 1: codes must have shape"),
    ):
        with pytest.raises(ValueError, match=words):
            latent.fit(2.0 * points, classes=wrong)
    assert all(torch.equal(tensor, before[name]) for name, tensor in latent.state_dict().items())


def test_before_the_fit() -> None:
    with pytest.raises(RuntimeError, match="has not been fitted"):
        ClassWiseLatent(2, GaussianMixtureLatent(2)).sample([1], classes=[1])
    with pytest.raises(ValueError, match="n_classes is 1"):
        ClassWiseLatent(1, NormalLatent(2))
