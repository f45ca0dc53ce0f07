# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import copy
import pickle
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from monai_genaug.generators import build_pool, derive_seed
from monai_genaug.quality.criteria import SampleCriterion
from monai_genaug.quality.filtered import FilteredGenerator, filter_pool
from tests.toy import toy_generator

GENERATOR = toy_generator((8, 8), classes=["a", "b"])


@dataclass(frozen=True)
class Brighter(SampleCriterion):
    """Accepts samples whose mean lies in the upper part of their class's band."""

    threshold: float

    @property
    def identity(self) -> str:
        return f"brighter than {self.threshold}"

    def scores(self, samples: Mapping[str, Tensor], classes: Sequence[int] | None) -> Tensor:
        assert classes is not None
        return samples["image"].double().flatten(1).mean(dim=1) - 0.5 * torch.as_tensor(classes)

    def accept(self, samples: Mapping[str, Tensor], classes: Sequence[int] | None) -> Tensor:
        return self.scores(samples, classes) >= self.threshold


def median() -> float:
    """Half of the candidates of class 0 are brighter."""
    return float(GENERATOR.sample(range(200), 0)["image"].double().flatten(1).mean(dim=1).median())


HALF = median()


def test_a_sample_is_the_first_accepted_one_of_its_sequence() -> None:
    filtered, criterion = FilteredGenerator(GENERATOR, [Brighter(HALF)]), Brighter(HALF)
    seeds = range(40)
    made = filtered.sample(seeds, 0)
    attempts = []
    for seed in seeds:
        for attempt in range(64):
            own = seed if attempt == 0 else derive_seed("filtered", seed, attempt)
            one = GENERATOR.sample([own], 0)
            if bool(criterion.accept(one, [0])):
                break
        attempts.append(attempt)
        assert torch.allclose(made["image"][seed], one["image"][0], atol=1e-4)
        assert torch.equal(made["mask"][seed], one["mask"][0])
    assert max(attempts) > 1
    assert attempts.count(0) > 5
    assert filtered.acceptance_rate == pytest.approx(40 / (40 + sum(attempts)))
    assert bool(criterion.accept(made, [0] * 40).all())


def test_samples_depend_on_neither_batch_nor_order() -> None:
    filtered = FilteredGenerator(GENERATOR, [Brighter(HALF)])
    classes = [0, 1] * 8
    whole = filtered.sample(range(16), classes)["image"]
    filtered.batch_size = 3
    assert torch.allclose(filtered.sample(range(16), classes)["image"], whole, atol=1e-4)
    backwards = filtered.sample(range(15, -1, -1), classes[::-1])["image"].flip(0)
    assert torch.allclose(backwards, whole, atol=1e-4)


def test_the_spec_says_what_was_filtered() -> None:
    filtered = FilteredGenerator(GENERATOR, [Brighter(HALF)])
    assert filtered.spec.name == "toy+filtered"
    assert filtered.spec.encodes == ()
    assert filtered.spec.outputs == GENERATOR.spec.outputs
    others = [
        GENERATOR.spec.sha256,
        FilteredGenerator(GENERATOR, [Brighter(0.3)]).spec.sha256,
        FilteredGenerator(GENERATOR, [Brighter(HALF), Brighter(0.3)]).spec.sha256,
        FilteredGenerator(toy_generator((8, 8), classes=["a", "b", "c"]), [Brighter(HALF)]).spec.sha256,
    ]
    assert filtered.spec.sha256 not in others
    assert FilteredGenerator(GENERATOR, [Brighter(HALF)], 3).spec.sha256 == filtered.spec.sha256


def test_all_criteria_must_be_met() -> None:
    narrow = FilteredGenerator(GENERATOR, [Brighter(HALF - 0.02), Brighter(HALF)])
    assert torch.equal(
        narrow.sample(range(9), 0)["image"], FilteredGenerator(GENERATOR, [Brighter(HALF)]).sample(range(9), 0)["image"]
    )


def test_a_seed_without_an_accepted_sample_is_named() -> None:
    filtered = FilteredGenerator(GENERATOR, [Brighter(2.0)], max_attempts=3)
    with pytest.raises(RuntimeError, match=r"2 of 2 samples, the first with seed 7 of class 'b'.* 3 attempts; 0 % of"):
        filtered.sample([7, 8], "b")


def test_pickles_and_copies_make_the_same_samples() -> None:
    filtered = FilteredGenerator(GENERATOR, [Brighter(HALF)], 50)
    filtered.batch_size = 5
    again = pickle.loads(pickle.dumps(filtered))
    assert (again.batch_size, again.spec) == (5, filtered.spec)
    assert again.acceptance_rate is None
    assert torch.equal(again.sample(range(6), 0)["image"], filtered.sample(range(6), 0)["image"])
    assert copy.deepcopy(filtered) is filtered


def test_threads_lose_no_count() -> None:
    one, many = (FilteredGenerator(GENERATOR, [Brighter(HALF)]) for _ in range(2))
    one.sample(range(48), 0)
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda first: many.sample(range(first, first + 4), 0), range(0, 48, 4)))
    assert many.acceptance_rate == one.acceptance_rate


def test_a_pool_is_filtered_block_by_block(tmp_path) -> None:
    pool = build_pool(GENERATOR, {"a": 30, "b": 20}, tmp_path / "pool", seed=0, progress=False)
    pool.batch_size = 7
    criteria = [Brighter(HALF), Brighter(0.0)]
    found = filter_pool(pool, criteria)
    samples = {"image": torch.stack([pool[i]["image"] for i in range(50)])}
    assert torch.allclose(found.scores[0], criteria[0].scores(samples, pool.classes))
    assert torch.equal(found.accepted[0], criteria[0].accept(samples, pool.classes))
    assert found.kept.tolist() == found.accepted[0].nonzero().flatten().tolist()
    assert 0 < len(found.kept) < 50
    with pytest.raises(ValueError, match="0 criteria"):
        filter_pool(pool, [])


def test_no_criteria_and_no_attempts_are_refused() -> None:
    with pytest.raises(ValueError, match="0 criteria and 64 attempts"):
        FilteredGenerator(GENERATOR, [])
    with pytest.raises(ValueError, match="1 criteria and 0 attempts"):
        FilteredGenerator(GENERATOR, [Brighter(0.1)], 0)
