# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""The process that :class:`~monai_genaug.generators.background_build.BackgroundBuild` starts: it builds one pool.

``python -m monai_genaug.generators.pool_process PARENT`` reads two pickles from its standard input, the generator and
the other arguments of :func:`build_pool`. They come from the process that started it, and from nowhere else.
"""

from __future__ import annotations

import os
import pickle
import sys
import threading
import time

from monai_genaug.generators.pool_building import build_pool

__all__: list[str] = []

_NICENESS = 10
_POLL_SECONDS = 0.5


def _main() -> None:
    threading.Thread(target=_end_with, args=(int(sys.argv[1]),), daemon=True).start()
    if hasattr(os, "nice"):
        os.nice(_NICENESS)
    generator, arguments = pickle.load(sys.stdin.buffer), pickle.load(sys.stdin.buffer)
    build_pool(generator, **arguments, progress=False, distributed=False)


def _end_with(parent: int) -> None:
    """Ends this process when ``parent`` is no more, however that one ended."""
    while os.getppid() == parent:
        time.sleep(_POLL_SECONDS)
    os._exit(1)


if __name__ == "__main__":
    _main()
