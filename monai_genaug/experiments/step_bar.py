# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""A progress bar that is told the number of each finished step."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tqdm import tqdm

__all__ = ["step_bar"]


@contextmanager
def step_bar(label: str, total: int) -> Iterator[Callable[[int], None]]:
    """Shows a bar and gives the function that moves it to a step."""
    with tqdm(total=total, desc=label, unit="step") as bar:

        def move(step: int) -> None:
            bar.update(step - bar.n)

        yield move
