# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Locks that outlive a fork."""

from __future__ import annotations

import os
import threading
from contextlib import AbstractContextManager

__all__ = ["GLOBAL_STATE", "ProcessLock"]


class ProcessLock:
    """A lock among the threads of one process; a thread may take it again.

    A child that was forked while another thread of its parent held the lock would wait for ever, hence it gets a new
    one. Make it once, at the level of a module.

    Example::

        with lock.held():
            ...
    """

    def __init__(self) -> None:
        self._renew()
        if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork either
            os.register_at_fork(after_in_child=self._renew)

    def held(self) -> AbstractContextManager[bool]:
        """A block that one thread at a time runs."""
        return self._lock

    def _renew(self) -> None:
        self._lock = threading.RLock()


GLOBAL_STATE = ProcessLock()
"""For blocks that change what belongs to the whole process, such as its random state or its modules.

One lock for all of them: with several, two threads could wait for each other.
"""
