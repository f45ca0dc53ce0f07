# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
import threading

import pytest

from monai_genaug.generators.process_lock import ProcessLock


def is_free(lock: ProcessLock) -> bool:
    """Whether another thread than this one could take it now."""
    found: list[bool] = []

    def look() -> None:
        held = lock.held()
        assert isinstance(held, type(threading.RLock()))
        free = held.acquire(blocking=False)
        found.append(free)
        if free:
            held.release()

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    return found[0]


def test_one_thread_at_a_time_which_may_take_it_again() -> None:
    lock = ProcessLock()
    assert is_free(lock)
    with lock.held(), lock.held():
        assert not is_free(lock)
    assert is_free(lock)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_does_not_inherit_that_it_is_held() -> None:
    lock = ProcessLock()
    taken, over = threading.Event(), threading.Event()

    def hold() -> None:
        with lock.held():
            taken.set()
            over.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    taken.wait()
    child = os.fork()
    if child == 0:
        os._exit(0 if is_free(lock) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert not is_free(lock)
    over.set()
    thread.join()
