# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Some kills of every kind; ``make soak`` has more."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.soak.killing import kill_and_resume, kill_one_of_two_builders, kill_one_rank


@pytest.mark.parametrize("n_ranks", [1, 2])
def test_a_build_that_is_killed_resumes_to_the_same_bytes(n_ranks: int, tmp_path: Path) -> None:
    kill_and_resume(tmp_path, kills=3, n_ranks=n_ranks, seed=0)


def test_of_two_builders_one_may_be_killed(tmp_path: Path) -> None:
    kill_one_of_two_builders(tmp_path, kills=3, seed=0)


def test_a_rank_that_is_killed_ends_the_others(tmp_path: Path) -> None:
    kill_one_rank(tmp_path, kills=1, seed=0)
