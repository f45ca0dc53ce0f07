# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Processes that build one pool together: each step ends on all of them, or fails on all of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import ignite.distributed as idist

__all__ = ["Ranks"]


class Ranks:
    """The processes of ``ignite.distributed``, or this one alone.

    Args:
        distributed: False: this process alone, whatever group it belongs to. Nothing is communicated then.
    """

    def __init__(self, distributed: bool) -> None:
        self.size = idist.get_world_size() if distributed else 1
        self.rank = idist.get_rank() if self.size > 1 else 0

    @property
    def is_first(self) -> bool:
        """Whether this is rank 0."""
        return self.rank == 0

    def share(self, value: Any) -> list[Any]:
        """The values of all ranks, in their order; plain ones, as JSON knows them. Waits for the slowest rank."""
        if self.size == 1:
            return [value]
        return [json.loads(text) for text in idist.all_gather(json.dumps(value))]

    @contextmanager
    def step(self) -> Iterator[None]:
        """Ends when all ranks have done what is inside; where one has failed, all raise.

        Raises:
            RuntimeError: on the other ranks, with the text of the error.
        """
        try:
            yield
        except BaseException as error:
            self.share(f"{type(error).__name__}: {error}")
            raise
        errors = {rank: text for rank, text in enumerate(self.share(None)) if text is not None}
        if errors:
            raise RuntimeError("; ".join(f"rank {rank} failed: {text}" for rank, text in errors.items()))
