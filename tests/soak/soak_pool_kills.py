# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Twenty random kills of every kind (``make soak``)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.soak.killing import kill_and_resume, kill_one_of_two_builders, kill_one_rank

KILLS = 20


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("n_ranks", [1, 2])
def test_a_build_that_is_killed_resumes_to_the_same_bytes(n_ranks: int, seed: int, tmp_path: Path) -> None:
    kill_and_resume(tmp_path, KILLS, n_ranks, seed)


@pytest.mark.parametrize("seed", range(3))
def test_of_two_builders_one_may_be_killed(seed: int, tmp_path: Path) -> None:
    kill_one_of_two_builders(tmp_path, KILLS, seed)


def test_a_rank_that_is_killed_ends_the_others(tmp_path: Path) -> None:
    kill_one_rank(tmp_path, KILLS, seed=0)
