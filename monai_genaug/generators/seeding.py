# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Ranks, workers, epochs, positions -> seeds. The only place that knows about them."""

from __future__ import annotations

import hashlib
import operator
import os

import torch
from torch.utils.data import get_worker_info

__all__ = ["current_rank", "current_worker", "derive_seed"]


def derive_seed(*parts: int | str) -> int:
    """A seed in [0, 2^63) that is a function of ``parts`` alone (BLAKE2b), the same on every machine.

    Different sequences of parts give different seeds but for hash collisions; ``1`` and ``"1"`` differ. Integers of
    numpy and torch count as Python's.

    Raises:
        TypeError: a part that is neither a string nor an integer.
    """
    text = "\x1f".join(_tagged(part) for part in parts)
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def _tagged(part: int | str) -> str:
    if isinstance(part, str):
        return "str:" + part.replace("\\", "\\\\").replace("\x1f", "\\x1f")  # the separator must not occur
    return f"int:{operator.index(part)}"


def current_rank() -> int:
    """This process's rank; workers that were spawned have no process group and read ``RANK`` instead."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return torch.distributed.get_rank()
    return int(os.environ.get("RANK", "0"))


def current_worker() -> int:
    """Identifies the loader worker that runs this: 0 in the main process, else a number that is never reused.

    The worker's torch seed is the loader's base seed (fresh in every epoch) plus the worker's number, which is what
    keeps two workers, and one worker in two epochs, apart even where nobody reseeds the transforms.
    """
    info = get_worker_info()
    return 0 if info is None else int(info.seed)
