# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from monai_genaug.data import check_disjoint, decathlon_items, split_by_subject


def visits(sizes: list[int]) -> list[dict[str, Any]]:
    """Items of subjects with so many visits each; the label follows the subject, in the ratio 1 : 2."""
    return [{"id": (s, v), "subject": f"s{s}", "label": int(s % 3 == 0)} for s, n in enumerate(sizes) for v in range(n)]


@settings(max_examples=50)
@given(st.lists(st.integers(1, 5), min_size=3, max_size=40), st.integers(0, 2**40))
def test_no_subject_leaks_and_nothing_is_lost(sizes: list[int], seed: int) -> None:
    items = visits(sizes)
    parts = split_by_subject(items, "subject", seed=seed)
    subjects = [{item["subject"] for item in part} for part in parts]
    assert all(subjects)
    assert sum(map(len, subjects)) == len(sizes)
    assert sorted(item["id"] for part in parts for item in part) == [item["id"] for item in items]
    assert parts == split_by_subject(items, lambda item: item["subject"], seed=seed)


def test_parts_have_about_the_fractions_of_the_subjects() -> None:
    parts = split_by_subject(visits([2] * 100), "subject", fractions=(0.5, 0.3, 0.2))
    assert [len(part) for part in parts] == [100, 60, 40]
    assert [len(part) for part in split_by_subject(visits([1] * 10), "subject", fractions=(0.5, 0.5))] == [5, 5]


def test_the_seed_chooses_the_split_and_items_keep_their_order() -> None:
    items = visits([2] * 30)
    tests = {tuple(item["id"] for item in split_by_subject(items, "subject", seed=seed)[2]) for seed in range(10)}
    assert len(tests) == 10
    assert all(list(ids) == sorted(ids) for ids in tests)


def test_the_global_random_states_are_left_alone() -> None:
    before = torch.get_rng_state(), np.random.get_state()[1].tobytes()
    split_by_subject(visits([1] * 12), "subject")
    assert torch.equal(before[0], torch.get_rng_state())
    assert before[1] == np.random.get_state()[1].tobytes()


@pytest.mark.parametrize("seed", range(5))
def test_strata_have_their_share_in_every_part(seed: int) -> None:
    parts = split_by_subject(visits([2] * 60), "subject", (0.5, 0.25, 0.25), seed, stratify="label")
    assert [Counter(item["label"] for item in part) for part in parts] == [
        {1: 20, 0: 40},
        {1: 10, 0: 20},
        {1: 10, 0: 20},
    ]


def test_a_subject_with_two_labels_stays_together() -> None:
    items = [{"subject": s, "label": label} for s in range(20) for label in ("nv", "nv", "mel")]
    parts = split_by_subject(items, "subject", stratify=lambda item: item["label"])
    check_disjoint(parts, "subject")
    assert [len(part) for part in parts] == [42, 9, 9]


def test_the_real_hippocampus_volumes_never_leak(hippocampus_dir: Path) -> None:
    items = decathlon_items(hippocampus_dir)
    for seed in range(20):
        parts = split_by_subject(items, "subject", seed=seed)
        numbers = [{int(Path(item["image"]).name[12:15]) for item in part} for part in parts]
        for one in range(3):
            for other in range(one):
                # file 2k-1 has its other volume in 2k: no number's partner may be in another part
                assert not {n + 1 if n % 2 else n - 1 for n in numbers[one]} & numbers[other]


@pytest.mark.parametrize("fractions", [(1.0,), (0.5, 0.6), (0.5, 0.5, 0.0), (1.2, -0.2)])
def test_bad_fractions_are_named(fractions: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="fractions are"):
        split_by_subject(visits([1] * 9), "subject", fractions)


def test_too_few_subjects_and_missing_ones_are_named() -> None:
    with pytest.raises(ValueError, match="2 subjects cannot fill 3 parts"):
        split_by_subject(visits([4, 4]), "subject")
    with pytest.raises(ValueError, match="2 subjects of class 1 cannot fill 3 parts"):
        split_by_subject(visits([1] * 6), "subject", stratify="label")
    with pytest.raises(ValueError, match="no key 'patient'"):
        split_by_subject(visits([1] * 6), "patient")
    with pytest.raises(ValueError, match="subject of an item is None"):
        split_by_subject(visits([1] * 6), lambda item: None)


def test_check_disjoint_names_who_is_shared() -> None:
    one, two = visits([1, 1, 1]), visits([1])
    check_disjoint([one[1:], two], "subject")
    with pytest.raises(ValueError, match=r"1 subjects are in more than one part: 's0' in parts \[0, 1\]"):
        check_disjoint([one, two], "subject")
