# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""What generators that load their weights at the first use must know of threads and forked processes."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager

import torch
from torch.utils.data import get_worker_info

from monai_genaug._help import docs_link
from monai_genaug.generators.process_lock import ProcessLock

__all__ = ["loading_lock", "refuse_gpu_after_fork"]

_LOADING = ProcessLock()
_is_forked = False


def loading_lock() -> AbstractContextManager[bool]:
    """For blocks that load weights; one lock for all generators, so that none has to be pickled."""
    return _LOADING.held()


def refuse_gpu_after_fork(device: torch.device) -> None:
    """Refuses a GPU in a forked loader worker.

    Raises:
        RuntimeError: it names the ways out.
    """
    if device.type == "cuda" and _is_forked and get_worker_info() is not None:
        raise RuntimeError(
            f"a generator on {device} cannot sample in a forked DataLoader worker. Ways out: draw from a pool "
            "(build_pool, SyntheticDataset); sample per batch in the main process (GenerativePrepareBatch); "
            "use monai.data.ThreadDataLoader with num_workers=0; or start workers with "
            f"multiprocessing_context='spawn'. See {docs_link('how_to/speed')}."
        )


def _after_fork() -> None:
    global _is_forked
    _is_forked = True


if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork either
    os.register_at_fork(after_in_child=_after_fork)
