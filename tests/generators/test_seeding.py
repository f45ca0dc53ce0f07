# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import DataLoader, Dataset

from monai_genaug.generators import current_rank, current_worker, derive_seed

_part = st.integers(-(2**70), 2**70) | st.text(max_size=10) | st.text("a1:\\\x1fx", max_size=4)


def test_golden_values() -> None:
    # printf 'str:pool\\037int:0\\037int:0' | b2sum -l 64, halved
    assert derive_seed("pool", 0, 0) == 924808313807883012
    assert derive_seed() == 8238016292129134938


def test_integers_of_numpy_and_torch_are_integers() -> None:
    assert derive_seed(np.int64(3), torch.tensor(4), "x") == derive_seed(3, 4, "x")  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        derive_seed(0.5)  # type: ignore[arg-type]


@given(st.lists(_part), st.lists(_part))
def test_seeds_are_in_range_and_tell_parts_apart(one: list[int | str], other: list[int | str]) -> None:
    assert 0 <= derive_seed(*one) < 2**63
    assert (derive_seed(*one) == derive_seed(*other)) == (one == other)


def test_rank_of_a_spawned_worker_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RANK", raising=False)
    assert current_rank() == 0
    monkeypatch.setenv("RANK", "3")
    assert current_rank() == 3


class _Workers(Dataset[int]):
    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> int:
        return current_worker()


def test_workers_differ_among_each_other_and_between_epochs() -> None:
    assert current_worker() == 0
    loader = DataLoader(_Workers(), num_workers=2, batch_size=None)
    first, second = set(loader), set(loader)
    assert len(first) == len(second) == 2
    assert not first & second
    assert 0 not in first | second
