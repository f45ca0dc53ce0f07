# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""What generators that load their weights at the first use must know of threads and forked processes."""

from __future__ import annotations

import os
import threading

import torch
from torch.utils.data import get_worker_info

__all__ = ["loading_lock", "refuse_gpu_after_fork"]

# One lock for all generators, so that none has to be pickled. A child that was forked while another thread of its
# parent held it would wait for ever, hence it gets a new one.
_loading = threading.Lock()
_is_forked = False


def loading_lock() -> threading.Lock:
    """This process's lock for loading weights."""
    return _loading


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
            "multiprocessing_context='spawn'."
        )


def _after_fork() -> None:
    global _loading, _is_forked
    _loading, _is_forked = threading.Lock(), True


if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork either
    os.register_at_fork(after_in_child=_after_fork)
