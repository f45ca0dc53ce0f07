# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Two processes with a process group."""

from __future__ import annotations

import os
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch


def run_ranks(function: Callable[..., None], *arguments: Any) -> None:
    """Runs ``function(rank, *arguments)`` in two forked processes, a gloo group between them."""
    with TemporaryDirectory() as folder:
        start = get_context("fork").Process
        ranks = [start(target=_as_rank, args=(rank, Path(folder), function, *arguments)) for rank in range(2)]
        for rank in ranks:
            rank.start()
        for rank in ranks:
            rank.join(250)
        assert [rank.exitcode for rank in ranks] == [0, 0]


def _as_rank(rank: int, folder: Path, function: Callable[..., None], *arguments: Any) -> None:
    os.environ.pop("RANK", None)  # nothing but the group tells them apart
    torch.set_num_threads(1)
    store = torch.distributed.FileStore(str(folder / "store"), 2)
    torch.distributed.init_process_group("gloo", store=store, rank=rank, world_size=2)
    torch.distributed.barrier()
    function(rank, *arguments)
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()
